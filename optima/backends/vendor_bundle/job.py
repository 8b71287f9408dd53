"""The compile job of a subgraph: quantise, measure, run the user's command. A pure function of its payload."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optima.backends.bundle import pack
from optima.backends.quantised import step
from optima.backends.vendor_bundle.template import filled
from optima.quantise import Scheme, calibration_files, prepare, quantise, refuse_noise, sqnr_of_outputs
from optima.quantise.raw import CALIBRATION_FOLDER, INPUT_LIST
from optima.tools import ToolFailed, run_tool

Array = np.ndarray[Any, Any]

#: the files in the job's result; what the command wrote has ``VENDOR`` before its path
FLOAT, QDQ, QUALITY, VENDOR = "model.onnx", "model.qdq.onnx", "quality.json", "vendor/"


@dataclass(frozen=True)
class Request:
    """The payload. ``samples``: input -> array ``[samples, *shape]``. ``command``: the template's words, or ()."""

    name: str
    model: bytes
    samples: Mapping[str, Array]
    scheme: Scheme
    min_sqnr_db: float
    command: tuple[str, ...]
    timeout_s: float


def compile_subgraph(request: Request) -> bytes:
    """``model.onnx`` (float), ``model.qdq.onnx``, ``quality.json``; ``vendor/...``: what the command wrote. Packed.

    Raises QuantisationError and ToolFailed, each with the subgraph and the step.
    """
    with step(request.name, "quantise"):
        prepared = prepare(request.model, request.samples)
        quantised = quantise(prepared, request.samples, request.scheme)
        found = sqnr_of_outputs(request.model, quantised, request.samples)
        refuse_noise(found, request.min_sqnr_db)
    files = {FLOAT: prepared, QDQ: quantised, QUALITY: json.dumps(found, sort_keys=True).encode()}
    if request.command:
        with step(request.name, f"compile with {request.command[0]}"):
            files |= _run_command(request, prepared, quantised)
    return pack(files)


def _run_command(request: Request, prepared: bytes, quantised: bytes) -> dict[str, bytes]:
    folder = Path(tempfile.mkdtemp(prefix="optima-vendor-"))
    given = {
        f"{request.name}.onnx": prepared,
        f"{request.name}.qdq.onnx": quantised,
        **calibration_files(request.samples),
    }
    for name, data in given.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    out = folder / "out"
    out.mkdir()
    paths = {
        "onnx": folder / f"{request.name}.onnx",
        "qdq": folder / f"{request.name}.qdq.onnx",
        "calib_dir": folder / CALIBRATION_FOLDER,
        "input_list": folder / INPUT_LIST,
        "out": out,
    }
    return {VENDOR + name: data for name, data in _written(request, paths, folder).items()}


def _written(request: Request, paths: Mapping[str, Path], folder: Path) -> dict[str, bytes]:
    """What the command leaves in ``out``. The folder stays behind only when it fails: to repeat the command."""
    try:
        said = run_tool(filled(request.command, paths), timeout_s=request.timeout_s, folder=folder)
    except ToolFailed as error:
        raise ToolFailed(error.message, hint=f"{error.hint}; in the folder {folder}, which is kept") from error
    out = paths["out"]
    files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    if not any(files.values()):
        raise ToolFailed(
            f"{request.command[0]} wrote nothing into {{out}}",
            hint=f"it said: {said.strip()[-500:] or 'nothing'}; in the folder {folder}, which is kept",
        )
    shutil.rmtree(folder, ignore_errors=True)
    return files
