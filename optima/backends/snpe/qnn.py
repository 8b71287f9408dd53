"""The route by onnxruntime-qnn: Qualcomm's own libraries write the ``.dlc``, each time in a fresh process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from optima.backends.snpe.dlc import the_only_dlc
from optima.tools import ToolFailed, run_tool

SCRIPT = Path(__file__).with_name("qnn_process.py")


def provider_options(soc_model: int, htp_arch: int) -> dict[str, str]:
    """The execution provider's options for a chip. Both numbers are always given: the default is an old chip,
    with which compiling may fail."""
    return {"backend_type": "htp", "soc_model": str(soc_model), "htp_arch": str(htp_arch)}


def command(*words: str | Path) -> list[str]:
    """The argv of the helper process; ``-P`` keeps this folder's modules from hiding others."""
    return [sys.executable, "-P", str(SCRIPT), *map(str, words)]


def dlc_of(model: bytes, options: Mapping[str, str], folder: Path, timeout_s: float) -> bytes:
    """The ``.dlc`` of a QDQ model, made in ``folder``. Raises ToolFailed unless there is exactly one."""
    (folder / "model.onnx").write_bytes(model)
    (folder / "options.json").write_text(json.dumps(dict(options)))
    argv = command("compile", folder)
    said = run_tool(argv, timeout_s=timeout_s, called="onnxruntime-qnn")
    return the_only_dlc(folder / "dlc", argv, said, called="onnxruntime-qnn")


def left_out(models: Sequence[bytes], options: Mapping[str, str], folder: Path, timeout_s: float) -> list[str | None]:
    """For each QDQ model: the ONNX operators in it that the device does not take, "" if it takes all of them,
    None where that did not become known in time."""
    for number, model in enumerate(models):
        (folder / f"{number}.onnx").write_bytes(model)
    (folder / "options.json").write_text(json.dumps(dict(options)))
    found: dict[int, str] = {}
    while len(found) < len(models):
        # A failure's words are not needed: the file says how far it came.
        with suppress(ToolFailed):
            run_tool(command("probe", folder, str(len(found))), timeout_s=timeout_s)
        answers = folder / "answers.jsonl"
        before = len(found)
        found |= dict(map(json.loads, answers.read_text().splitlines())) if answers.exists() else {}
        if len(found) == before:
            if before == 0 and not answers.exists():
                return [None] * len(models)
            found[before] = "an operator on which the compiler crashes"
            with answers.open("a") as lines:
                lines.write(json.dumps([before, found[before]]) + "\n")
    return [found[number] for number in range(len(models))]
