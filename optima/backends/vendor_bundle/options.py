"""``device_options["CV22"]`` and ``["ARA1"]``: what a caller may choose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from devices import DeviceEnum
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptions, Seconds, read_device_options
from optima.quantise import Scheme


class BundleOptions(DeviceOptions):
    """``opset``: the version of the ONNX operator set that the vendor's compiler reads. ``min_sqnr_db``: an output
    with more noise than this is refused. ``timeout_s``: for the command."""

    opset: int = Field(17, ge=13, le=22)
    activation_bits: Literal[8, 16] = 8
    min_sqnr_db: float = Field(10.0, ge=-200.0, le=200.0)
    timeout_s: Seconds = 3600.0

    @property
    def scheme(self) -> Scheme:
        """The widths of the QDQ model; the vendor's compiler may quantise in its own way."""
        return Scheme(self.activation_bits)


def read_options(kind: DeviceEnum, options: CompileOptions) -> BundleOptions:
    """The options of a kind. Raises DeviceOptionError with all that is wrong."""
    return read_device_options(BundleOptions, kind, options)
