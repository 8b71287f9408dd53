"""What a user may choose of OpenVINO, per kind: ``device_options={"MYRIAD": {"shaves": 8}}``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from devices import DeviceEnum, DeviceRef
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptions, Seconds, read_device_options

#: MYRIAD's importer (openvino 2021.4) reads up to 13; at 13 OpenVINO 2026 overlooks the axes of ReduceLogSumExp and
#: ReduceL1 and reduces everything, so its stand-ins are written as 11, too
_MYRIAD_OPSET, _OPSET = 11, 22
_PLUGINS = {DeviceEnum.DEVICE_KIND_MYRIAD: "MYRIAD", DeviceEnum.DEVICE_KIND_INTELGPU: "GPU"}


class OpenvinoOptions(DeviceOptions):
    """``precision``: what floats are computed in ("f16" halves them where the plugin can). ``plugin``: OpenVINO's
    device, "" for the kind's own. ``shaves``, ``cmx_slices``, ``streams``: how a MYRIAD blob divides the chip.
    ``npu_platform``: which NPU a blob is for, with ``plugin="NPU"``. ``timeout_s``: seconds that one compilation may
    take.
    """

    precision: Literal["f32", "f16"] = "f32"
    plugin: Literal["", "CPU", "GPU", "NPU", "MYRIAD"] = ""
    shaves: int = Field(8, ge=1, le=16)
    cmx_slices: int = Field(8, ge=1, le=19)
    streams: int = Field(1, ge=1, le=3)
    npu_platform: str = "4000"
    timeout_s: Seconds = 120.0

    def config(self, plugin: str) -> dict[str, str]:
        """OpenVINO's properties; the precision must be given again when a blob is imported."""
        config: dict[str, str] = {"INFERENCE_PRECISION_HINT": self.precision}
        if plugin == "NPU":
            config |= {"NPU_PLATFORM": self.npu_platform, "NPU_COMPILER_TYPE": "PLUGIN"}
        return config


def options_of(device: DeviceRef, options: CompileOptions) -> OpenvinoOptions:
    """The options of a device's kind. Raises DeviceOptionError with every fault."""
    return read_device_options(OpenvinoOptions, device.kind, options)


def plugin_of(device: DeviceRef, chosen: OpenvinoOptions) -> str:
    """OpenVINO's name for a device."""
    return chosen.plugin or _PLUGINS.get(device.kind, "CPU")


def opset_of(plugin: str) -> int:
    """The version of the operator set that a plugin's importer reads."""
    return _MYRIAD_OPSET if plugin == "MYRIAD" else _OPSET
