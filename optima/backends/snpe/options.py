"""``device_options["HEXAGON"]``: what a caller may choose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from devices import DeviceEnum
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptions, Seconds, read_device_options
from optima.quantise import Scheme

#: the newest version of the operator set that SNPE 2.39's converter documents
OPSET = 22


class SnpeOptions(DeviceOptions):
    """``soc_model`` and ``htp_arch`` are Qualcomm's numbers of a chip and its tensor processor; the defaults are
    SM8650's (Snapdragon 8 Gen 3). ``toolchain``: which of the ladder makes the ``.dlc``, "auto" for the first that
    is here, "none" for no ``.dlc``. ``min_sqnr_db``: an output with more noise than this is refused."""

    soc_model: int = Field(57, ge=0)
    htp_arch: Literal[68, 69, 73, 75, 79, 81] = 75
    activation_bits: Literal[8, 16] = 8
    toolchain: Literal["auto", "sdk", "onnxruntime-qnn", "none"] = "auto"
    min_sqnr_db: float = Field(10.0, ge=-200.0, le=200.0)
    timeout_s: Seconds = 900.0

    @property
    def scheme(self) -> Scheme:
        """The widths."""
        return Scheme(self.activation_bits)


def read_options(options: CompileOptions) -> SnpeOptions:
    """The options of HEXAGON. Raises DeviceOptionError with all that is wrong."""
    return read_device_options(SnpeOptions, DeviceEnum.DEVICE_KIND_HEXAGON, options)
