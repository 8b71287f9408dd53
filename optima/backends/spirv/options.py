"""``device_options`` of the four GPU kinds, checked."""

from __future__ import annotations

from devices import DeviceRef
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptions, read_device_options
from optima.backends.spirv.meta import Flavour


class SpirvOptions(DeviceOptions):
    """``flavour``: "shader" for Vulkan drivers, "kernel" for OpenCL drivers that take SPIR-V.

    ``half``: whether kernels may hold float16, which an OpenCL driver need not compute with (``cl_khr_fp16``); without
    it operators of float16 are refused before they are compiled.
    """

    flavour: Flavour = "shader"
    half: bool = True


def options_of(device: DeviceRef, options: CompileOptions) -> SpirvOptions:
    """The options of a device's kind. Raises DeviceOptionError with everything that is wrong with them."""
    return read_device_options(SpirvOptions, device.kind, options)
