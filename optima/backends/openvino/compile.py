"""The jobs: an ONNX model to a blob, by OpenVINO in the worker or by the old interpreter for MYRIAD."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optima.backends.openvino.core import core_of_process
from optima.backends.openvino.tools import base_tools
from optima.backends.tool_folder import tool_folder
from optima.tools import ToolFailed, require, run_tool, tool_failed

_ELF = b"\x7felf"  # MYRIAD's blobs begin with it in small letters
#: the compiler's own settings, by the name of our option
_MYRIAD_CONFIG = {
    "shaves": "MYRIAD_NUMBER_OF_SHAVES",
    "cmx_slices": "MYRIAD_NUMBER_OF_CMX_SLICES",
    "streams": "MYRIAD_THROUGHPUT_STREAMS",
}


def find_openvino() -> None:
    """Raise ToolMissing unless OpenVINO and ONNX are installed."""
    require(*base_tools())


def compile_blob(payload: Mapping[str, Any]) -> bytes:
    """The exported blob of ``payload["onnx"]`` for ``payload["plugin"]`` with ``payload["config"]``.

    Raises ToolFailed with what OpenVINO says.
    """
    core = core_of_process()
    try:
        model = core.read_model(payload["onnx"])
        compiled = core.compile_model(model, payload["plugin"], dict(payload["config"]))
        blob: bytes = compiled.export_model().getvalue()
    except RuntimeError as error:
        raise ToolFailed(
            f"{payload['name']}, step 'compile for {payload['plugin']}': OpenVINO cannot compile it: {error}",
            hint="map these ops to another device, or update openvino",
        ) from error
    return blob


def compile_myriad(payload: Mapping[str, Any]) -> bytes:
    """A blob for MYRIAD sticks by ``payload["python"]``, an interpreter with openvino 2021.4.2; no stick is needed.

    Raises ToolFailed when it fails, hangs, or writes something that is not such a blob.
    """
    script = Path(__file__).with_name("myriad_compiler.py")
    config = {_MYRIAD_CONFIG[key]: str(value) for key, value in payload["chip"].items()}
    doing = f"{payload['name']}, step 'compile for MYRIAD'"
    with tool_folder("optima-myriad-", doing) as folder:
        source, blob = folder / "subgraph.onnx", folder / "subgraph.blob"
        source.write_bytes(payload["onnx"])
        command = [payload["python"], script, source, blob, json.dumps(config, sort_keys=True)]
        said = run_tool(command, timeout_s=payload["timeout_s"], folder=folder, wrote=blob)
        made = blob.read_bytes()
        if not made.startswith(_ELF):
            raise tool_failed(command, "wrote something that is no blob", said)
    return made
