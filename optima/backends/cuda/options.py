"""``device_options["NVIDIA"]``: what a caller may choose."""

from __future__ import annotations

from typing import Literal

from devices import DeviceEnum
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptions, Seconds, read_device_options

#: NVIDIA's names (CUDA C++ programming guide, "Compute capabilities"); those below sm_75 need CUDA 12's compilers
Architecture = Literal[
    "sm_50", "sm_52", "sm_53", "sm_60", "sm_61", "sm_62", "sm_70", "sm_72", "sm_75", "sm_80", "sm_86", "sm_87",
    "sm_88", "sm_89", "sm_90", "sm_100", "sm_103", "sm_107", "sm_110", "sm_120", "sm_121",
]  # fmt: skip


class CudaOptions(DeviceOptions):
    """``architecture``: the device's compute capability. The default is the oldest that CUDA 13 compiles for: PTX of it
    runs on every later device, its driver compiling it at load. ``form``: machine code for the architecture with PTX
    beside it, or PTX only. ``compiler``: "auto" takes the first that is here. ``timeout_s``: for one kernel group.
    """

    architecture: Architecture = "sm_75"
    form: Literal["cubin", "ptx"] = "cubin"
    compiler: Literal["auto", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "nvcc"] = "auto"
    timeout_s: Seconds = 120.0


def read_options(options: CompileOptions) -> CudaOptions:
    """The options of NVIDIA. Raises DeviceOptionError with all that is wrong."""
    return read_device_options(CudaOptions, DeviceEnum.DEVICE_KIND_NVIDIA, options)
