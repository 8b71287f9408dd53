"""What the CPU route compiles with."""

from __future__ import annotations

from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, program, python_package


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """TVM's code generator and a linker."""
    return (
        python_package("apache-tvm", "code generation", "pip install 'optima[compile]'"),
        program("cc", "linking kernels", "apt-get install gcc", env="CC"),
    )
