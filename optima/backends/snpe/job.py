"""The compile job of a subgraph: quantise, measure, write the ``.dlc``. A pure function of its payload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optima.backends.bundle import pack
from optima.backends.quantised import step
from optima.backends.snpe.qnn import dlc_of, provider_options
from optima.backends.snpe.sdk import Sdk, convert, quantise_dlc
from optima.backends.tool_folder import tool_folder
from optima.quantise import Scheme, prepare, quantise, refuse_noise, sqnr_of_outputs

Array = np.ndarray[Any, Any]

#: the files in the job's result
FLOAT, QDQ, DLC, QUALITY = "model.onnx", "model.qdq.onnx", "model.dlc", "quality.json"


@dataclass(frozen=True)
class Request:
    """The payload. ``samples``: input -> array ``[samples, *shape]``. ``maker``: an Sdk, "onnxruntime-qnn", or ""."""

    name: str
    model: bytes
    samples: Mapping[str, Array]
    scheme: Scheme
    min_sqnr_db: float
    soc_model: int
    htp_arch: int
    timeout_s: float
    maker: Sdk | str


def compile_subgraph(request: Request) -> bytes:
    """``model.onnx`` (float), ``model.qdq.onnx``, ``quality.json`` and, unless nothing makes it, ``model.dlc``, packed.

    Raises QuantisationError and ToolFailed, each with the subgraph and the step.
    """
    with step(request.name, "quantise"):
        prepared = prepare(request.model, request.samples)
        quantised = quantise(prepared, request.samples, request.scheme)
        found = sqnr_of_outputs(request.model, quantised, request.samples)
        refuse_noise(found, request.min_sqnr_db)
    files = {FLOAT: prepared, QDQ: quantised, QUALITY: json.dumps(found, sort_keys=True).encode()}
    if request.maker:
        with tool_folder("optima-hexagon-") as folder:
            files[DLC] = _make_dlc(request, prepared, quantised, folder)
    return pack(files)


def _make_dlc(request: Request, prepared: bytes, quantised: bytes, folder: Path) -> bytes:
    if isinstance(request.maker, Sdk):
        sdk, samples, seconds = request.maker, request.samples, request.timeout_s
        with step(request.name, f"convert with {sdk.converter}"):
            convert(sdk, prepared, samples, folder, seconds)
        with step(request.name, f"quantise with {sdk.quantiser}"):
            return quantise_dlc(sdk, samples, folder, request.scheme, seconds)
    with step(request.name, "write the .dlc with onnxruntime-qnn"):
        chip = provider_options(request.soc_model, request.htp_arch)
        return dlc_of(quantised, chip, folder, request.timeout_s)
