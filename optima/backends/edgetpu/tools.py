"""What the Edge TPU's route compiles with."""

from __future__ import annotations

import os
from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, ToolMissing, program, python_package, require

_EXTRA = "in Optima's clone: pip install '.[tpu]'"
#: points to the compiler where it is not on the PATH
COMPILER_VARIABLE = "OPTIMA_EDGETPU_COMPILER"
_INSTALL_COMPILER = (
    "install edgetpu-compiler (x86-64 Debian or Ubuntu): https://coral.ai/docs/edgetpu/compiler/#download"
)


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """The schema, the quantiser, the runtime that executes the result here, and Google's compiler, which only the
    last step needs."""
    return (*_packages(), _compiler())


def _packages() -> tuple[Tool, ...]:
    return (
        python_package("tflite", "writing the float model", _EXTRA),
        python_package("ai-edge-quantizer", "making it int8", _EXTRA),
        python_package("ai-edge-litert", "running it for calibration and as a simulation", _EXTRA),
    )


def _compiler() -> Tool:
    return program("edgetpu_compiler", "the device's own file", _INSTALL_COMPILER, env=COMPILER_VARIABLE, optional=True)


def package_versions() -> dict[str, str]:
    """The packages that the int8 model depends on, with their versions. Raises ToolMissing, naming all absent."""
    found = _packages()
    require(*found)
    return {tool.name: tool.version for tool in found}


def edgetpu_compiler(*, needed: bool) -> Tool | None:
    """Google's compiler, None where it is absent.

    Raises ToolMissing where it is ``needed``, or where OPTIMA_EDGETPU_COMPILER names something else.
    """
    found = _compiler()
    given = os.environ.get(COMPILER_VARIABLE, "")
    if found.found:
        return found
    if given:
        raise ToolMissing(f"{COMPILER_VARIABLE} is {given!r}, which is no program", hint="correct it, or unset it")
    if needed:
        raise ToolMissing("edgetpu_compiler is not installed here, and strict_targets asks for its file",
                          hint=_INSTALL_COMPILER)  # fmt: skip
    return None
