"""Google's ``edgetpu_compiler``: its command line, and what it says of each operator.

https://coral.ai/docs/edgetpu/compiler/ (version 16). It is closed, runs on x86-64 Debian alone, and is called on the
int8 model as a last step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optima.backends.edgetpu.options import TpuOptions
from optima.tools import run_tool, tool_failed

#: the compiler's own limit, and what it may take beyond it to start and to write
_DEFAULT_TIMEOUT_S, _GRACE_S = 180, 30
_ROW = re.compile(r"^([A-Z][A-Z0-9_]+)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
#: the file identifier of the schema, which flatbuffers have at byte 4
_TFLITE = b"TFL3"
_MAPPED = "Mapped to Edge TPU"


def command(program: str, model: str, out_dir: str, options: TpuOptions) -> list[str]:
    """The command that compiles ``model`` into ``<out_dir>/<model's stem>_edgetpu.tflite``."""
    chosen: list[str] = []
    if options.min_runtime_version:
        chosen += ["--min_runtime_version", str(options.min_runtime_version)]
    if options.search_delegate:
        chosen += ["--search_delegate"]
    if options.timeout_s:
        chosen += ["--timeout_sec", str(options.timeout_s)]
    return [program, "--show_operations", *chosen, "--out_dir", out_dir, model]


def compiled(program: str, model: bytes, options: TpuOptions, folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The device's file, made in ``folder``, and what became of each kind of operator.

    Raises ToolFailed with the command to repeat.
    """
    (folder / "model.tflite").write_bytes(model)
    made = folder / "model_edgetpu.tflite"
    argv = command(program, "model.tflite", ".", options)
    limit = (options.timeout_s or _DEFAULT_TIMEOUT_S) + _GRACE_S
    said = run_tool(argv, timeout_s=limit, folder=folder, wrote=made)
    data = made.read_bytes()
    if data[4:8] != _TFLITE:
        raise tool_failed(argv, f"wrote a {made.name} that is no TFLite model", said)
    return data, operators(said)


def operators(said: str) -> list[dict[str, Any]]:
    """The compiler's table: ``{"op", "count", "status", "on_device"}`` per row."""
    return [
        {"op": op, "count": int(count), "status": status, "on_device": status == _MAPPED}
        for op, count, status in _ROW.findall(said)
    ]


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many operators run on the device and how many on the host."""
    on_device = sum(row["count"] for row in rows if row["on_device"])
    return {"edge_tpu": on_device, "host": sum(row["count"] for row in rows) - on_device}
