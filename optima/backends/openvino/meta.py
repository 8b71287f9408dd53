"""``<subgraph>.meta`` of this backend."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

#: what a blob is: one for this CPU, one for another plugin of OpenVINO's, or MYRIAD's own
CPU_BLOB, DEVICE_BLOB, MYRIAD_BLOB = "openvino-cpu-blob", "openvino-device-blob", "openvino-myriad-blob"


class OpenvinoSubgraph(BaseModel):
    """``config`` must be given again on import: a blob does not hold its precision. ``compiled_for_device``: the blob
    is the device's own. ``next_command`` says how to get that where it is not. ``content_sha256`` is over what went
    into the blob: OpenVINO's own bytes differ from run to run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1]
    format: Literal["openvino-cpu-blob", "openvino-device-blob", "openvino-myriad-blob"]
    name: str
    blob: str
    onnx: str
    plugin: str
    opset: int
    config: dict[str, str]
    compiled_for_device: bool
    next_command: str
    content_sha256: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
