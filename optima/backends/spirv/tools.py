"""What the GPU route compiles with."""

from __future__ import annotations

from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, program, python_package

INSTALL = "in Optima's clone: pip install '.[spirv]'"
GLSLANG_INSTALL = f"{INSTALL}, or apt-get install glslang-tools"
CLANG_INSTALL = f"{INSTALL}, or apt-get install clang-15 llvm-spirv-15"
#: suffixes of Debian's packages of LLVM, newest first
_LLVM_VERSIONS = ("", "-19", "-18", "-17", "-16", "-15", "-14")
_KERNEL = 'for {"flavour": "kernel"}'


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """TVM's scheduling, a compiler for each flavour, and what validates and runs their output."""
    return (
        python_package("apache-tvm", "scheduling", "in Optima's clone: pip install '.[compile]'"),
        python_package(
            "slangpy",
            "SPIR-V from GLSL and its validation: the wheel holds glslang",
            INSTALL,
            optional=bool(glslang().path),
        ),
        glslang(),
        python_package("ziglang", f"SPIR-V from OpenCL C, {_KERNEL}: the wheel holds clang", INSTALL, optional=True),
        *llvm_pair(),
        validator(),
        python_package("vulkan", "running kernels through Vulkan", INSTALL, optional=True),
        python_package("pyopencl", f"running kernels through OpenCL, {_KERNEL}", INSTALL, optional=True),
    )


def glslang() -> Tool:
    """The compiler that serves where slangpy is not installed."""
    return program(
        "glslangValidator", "SPIR-V from GLSL, where slangpy is absent", "apt-get install glslang-tools", optional=True
    )


def llvm_pair() -> tuple[Tool, Tool]:
    """clang and llvm-spirv of one version, which serve where ziglang is not installed; the newest that is whole."""
    pairs = [(_llvm("clang" + suffix), _llvm("llvm-spirv" + suffix)) for suffix in _LLVM_VERSIONS]
    return next((pair for pair in pairs if pair[0].found and pair[1].found), pairs[_LLVM_VERSIONS.index("-15")])


def _llvm(name: str) -> Tool:
    install = "apt-get install clang-15 llvm-spirv-15"
    return program(name, f"SPIR-V from OpenCL C, where ziglang is absent, {_KERNEL}", install, optional=True)


def validator() -> Tool:
    """Every module passes it where it is installed."""
    return program("spirv-val", "validating every module", "apt-get install spirv-tools", optional=True)
