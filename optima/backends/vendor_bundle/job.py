"""The compile job of a subgraph: quantise, measure, run the user's command. A pure function of its payload."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from devices import Problem
from optima.backends.base import why_not_a_path
from optima.backends.bundle import pack
from optima.backends.quantised import step
from optima.backends.tool_folder import tool_folder
from optima.backends.vendor_bundle.template import filled
from optima.quantise import Scheme, calibration_files, prepare, quantise, refuse_noise, sqnr_of_outputs
from optima.quantise.raw import CALIBRATION_FOLDER, INPUT_LIST
from optima.tools import ToolFailed, run_tool, tool_failed

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
    given = {
        f"{request.name}.onnx": prepared,
        f"{request.name}.qdq.onnx": quantised,
        **calibration_files(request.samples),
    }
    with tool_folder("optima-vendor-") as folder:
        for name, data in given.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        paths = {
            "onnx": folder / f"{request.name}.onnx",
            "qdq": folder / f"{request.name}.qdq.onnx",
            "calib_dir": folder / CALIBRATION_FOLDER,
            "input_list": folder / INPUT_LIST,
            "out": folder / "out",
        }
        paths["out"].mkdir()
        command = filled(request.command, paths)
        said = run_tool(command, timeout_s=request.timeout_s, folder=folder)
        return _written(paths["out"], command, said)


def _written(out: Path, command: Sequence[str], said: str) -> dict[str, bytes]:
    """What the command left in ``out``, by its path in the artifact.

    Raises ToolFailed where that is nothing, or naming all that cannot go there: links, which may lead out of the
    folder, names that mean something else on another system, and what cannot be read.
    """
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for path in _tree(out):
        name = VENDOR + str(path.relative_to(out))
        reason = _why_refused(path, name)
        if not reason and path.is_file():
            try:
                files[name] = path.read_bytes()
            except OSError as error:
                reason = f"cannot be read: {error.strerror}"
        if reason:
            refused[repr(name.removeprefix(VENDOR))] = reason
    if refused:
        rows = "; ".join(f"{name} {reason}" for name, reason in sorted(refused.items()))
        failed = tool_failed(command, f"wrote into {{out}} what cannot go into a model folder: {rows}", said)
        problems = [Problem(name, reason) for name, reason in sorted(refused.items())]
        raise ToolFailed(failed.message, problems=problems, hint=failed.hint)
    if not any(files.values()):
        raise tool_failed(command, "wrote nothing into {out}", said)
    return files


def _tree(folder: Path) -> Iterator[Path]:
    """Everything in a folder, links as what they are, in order. A folder that is a link is given itself."""
    if folder.is_symlink() or not os.access(folder, os.R_OK | os.X_OK):
        yield folder
        return
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)


def _why_refused(path: Path, name: str) -> str:
    if path.is_symlink():
        return "is a link"
    if path.is_dir():
        return "" if os.access(path, os.R_OK | os.X_OK) else "cannot be read"
    if not path.is_file():
        return "is no file"
    return why_not_a_path(name)
