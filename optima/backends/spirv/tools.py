"""What the GPU route compiles with."""

from __future__ import annotations

from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, program, python_package

INSTALL = "pip install 'optima[spirv]'"


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """TVM's scheduling, a shader compiler, and what validates and runs its output."""
    return (
        python_package("apache-tvm", "scheduling", "pip install 'optima[compile]'"),
        python_package(
            "slangpy",
            "SPIR-V from GLSL and its validation: the wheel holds glslang",
            INSTALL,
            optional=bool(glslang().path),
        ),
        glslang(),
        validator(),
        python_package("vulkan", "running kernels through Vulkan", INSTALL, optional=True),
    )


def glslang() -> Tool:
    """The compiler that serves where slangpy is not installed."""
    return program(
        "glslangValidator", "SPIR-V from GLSL, where slangpy is absent", "apt-get install glslang-tools", optional=True
    )


def validator() -> Tool:
    """Every module passes it where it is installed."""
    return program("spirv-val", "validating every module", "apt-get install spirv-tools", optional=True)
