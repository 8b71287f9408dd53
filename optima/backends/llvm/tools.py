"""What the CPU route compiles with."""

from __future__ import annotations

from collections.abc import Sequence

from devices import DeviceEnum
from optima.kernels.cpu_kinds import BASELINES, is_native
from optima.kernels.cross.linker import linker_tools
from optima.tools import Tool, program, python_package


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """TVM's code generator and a linker: this machine's own C compiler, or one for another CPU."""
    generator = python_package("apache-tvm", "code generation", "in Optima's clone: pip install '.[compile]'")
    architecture = BASELINES[kind].triple.split("-")[0]
    if not is_native(architecture):
        return generator, *linker_tools(architecture)
    return generator, program("cc", "linking kernels", "apt-get install gcc", env="CC")
