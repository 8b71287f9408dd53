"""The compile job: float model and samples -> int8 model, measured, and compiled where the compiler is at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import InternalError, Problem
from optima.backends.bundle import pack
from optima.backends.edgetpu.compiler import compiled
from optima.backends.edgetpu.options import TpuOptions
from optima.backends.edgetpu.quantise import quantised
from optima.backends.edgetpu.runner import Runner
from optima.backends.quantised import step
from optima.backends.tool_folder import tool_folder
from optima.quantise import MOST_DB, QuantisationError, sqnr_db

#: files of a job's result
INT8, COMPILED, REPORT = "model.tflite", "model_edgetpu.tflite", "report.json"


def build(payload: Mapping[str, Any]) -> bytes:
    """``payload``: ``model`` (float), ``samples`` (dicts of arrays by input), ``inputs``, ``outputs``, ``options``,
    ``compiler`` (a path, or ""), ``name`` (the subgraph's, for errors). Gives the packed files.

    Raises QuantisationError, and ToolFailed where the compiler fails.
    """
    options = TpuOptions(**payload["options"])
    with step(payload["name"], "quantise"):
        model = quantised(payload["model"], payload["samples"])
        ratios = _ratios(payload, model)
        _refuse_low(ratios, options.min_sqnr_db)
    files = {INT8: model}
    report: dict[str, Any] = {"sqnr_db": ratios, "operators": []}
    if payload["compiler"]:
        with tool_folder("optima-edgetpu-", f"{payload['name']}, step 'compile with edgetpu_compiler'") as folder:
            files[COMPILED], report["operators"] = compiled(payload["compiler"], model, options, folder)
    files[REPORT] = json.dumps(report, sort_keys=True).encode()
    return pack(files)


def _ratios(payload: Mapping[str, Any], model: bytes) -> dict[str, float]:
    """What each output lost to int8, over the samples."""
    runs = []
    for content in (payload["model"], model):
        runner = Runner(content)
        try:
            runs.append([runner.run([sample[n] for n in payload["inputs"]]) for sample in payload["samples"]])
        except InternalError as error:  # such as a square root of a negative number
            raise QuantisationError(
                f"it cannot be run on the samples: {error.message}",
                hint="pass samples of the real data, or map the ops that the message names elsewhere",
            ) from error
    wanted, found = runs
    return {
        name: round(sqnr_db(np.stack([run[k] for run in wanted]), np.stack([run[k] for run in found])), 2)
        for k, name in enumerate(payload["outputs"])
    }


def _refuse_low(ratios: Mapping[str, float], least: float) -> None:
    low = [Problem(name, f"{ratio} dB") for name, ratio in ratios.items() if -MOST_DB < ratio < least]
    if low:
        found = ", ".join(f"{p.subject} {p.reason}" for p in low)
        raise QuantisationError(
            f"{len(low)} outputs keep less than {least} dB in int8: {found}",
            problems=low,
            hint="pass more representative samples, map these ops to another device, or lower min_sqnr_db",
        )
