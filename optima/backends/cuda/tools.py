"""What the CUDA route compiles with, and what runs its kernels."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, program, python_package

INSTALL = "in Optima's clone: pip install '.[nvidia]'"
NVRTC, NVRTC_12, NVCC = "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "nvcc"
DRIVER = "libcuda.so.1"
#: of "release 13.0, V13.0.88": two patches of a release write other bytes
_NVCC_VERSION = re.compile(r"(?<=, V)\d+(?:\.\d+)+")


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """TVM's scheduling, a compiler of CUDA, the driver that runs kernels, and the compiler that simulates them."""
    others = [older_nvrtc(), nvcc()]
    return (
        python_package("apache-tvm", "scheduling", "in Optima's clone: pip install '.[compile]'"),
        nvrtc(optional=any(tool.found for tool in others)),
        *others,
        driver(),
        host_compiler(),
    )


def nvrtc(*, optional: bool = False) -> Tool:
    """NVIDIA's run-time compiler of CUDA 13, as a library in a wheel."""
    return python_package(NVRTC, "cubin and PTX from CUDA C++", INSTALL, optional=optional)


def older_nvrtc() -> Tool:
    """The same of CUDA 12: for older architectures and drivers."""
    return python_package(
        NVRTC_12, "the same, for drivers of CUDA 12 and GPUs older than sm_75", f"pip install {NVRTC_12}", optional=True
    )


def nvcc() -> Tool:
    """NVIDIA's compiler as a program, from its CUDA toolkit."""
    install = "NVIDIA's CUDA toolkit, https://developer.nvidia.com/cuda-downloads"
    return program(
        NVCC,
        "the same, where no NVRTC is installed",
        install,
        env="OPTIMA_NVCC",
        version_pattern=_NVCC_VERSION,
        optional=True,
    )


def driver() -> Tool:
    """The library that NVIDIA's driver installs."""
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return Tool(DRIVER, "running kernels", "NVIDIA's driver for the GPU", optional=True)
    return Tool(DRIVER, "running kernels", "", path=DRIVER, optional=True)


def host_compiler() -> Tool:
    """The C++ compiler behind ``fallback=True``."""
    return program("c++", "simulating kernels on this CPU", "apt-get install g++", env="CXX", optional=True)
