"""The compilers of the flavour "shader": the glslang in slangpy's wheel, else Debian's glslangValidator.

Not Slang, which the wheel is made for: its simplifier turns ``x * 0.0`` into 0 whatever x is, even in its precise mode.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from optima.backends.spirv import glslang_process
from optima.backends.spirv.compiler import MODULE, Compiler, Step
from optima.backends.spirv.tools import glslang
from optima.tools import python_package

WHEEL = "slangpy"
_SOURCE = "kernel.comp"
_CALLED = "slangpy's glslang"
#: no optimiser: it would fold what NoContraction, which is added behind it, is to keep
_LEVELS = ("",)


def of_wheel() -> Compiler | None:
    """The library in slangpy's wheel, in a process of its own."""
    package, library = python_package(WHEEL, "", ""), library_path()
    if not package.found or library is None:
        return None
    run = (sys.executable, "-I", str(Path(glslang_process.__file__)), str(library))
    compiling = Step(_CALLED, (*run, "compile", _SOURCE, MODULE), MODULE)
    checking = Step(f"{_CALLED} validator", (*run, "validate", MODULE))
    return Compiler(WHEEL, ((WHEEL, package.version),), _SOURCE, _LEVELS, lambda _: (compiling,), checking)


def of_system() -> Compiler | None:
    """Debian's program."""
    tool = glslang()
    if not tool.found:
        return None
    step = Step(tool.name, (tool.path, "-V", "--target-env", "vulkan1.1", "-o", MODULE, _SOURCE), MODULE)
    return Compiler(tool.name, ((tool.name, tool.version),), _SOURCE, _LEVELS, lambda _: (step,))


def library_path() -> Path | None:
    """The library, None where the wheel is not installed. ``slangpy`` itself is never imported."""
    spec = importlib.util.find_spec(WHEEL)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(p for place in places for p in Path(place).glob("libslang-glslang*.so*"))
    return found[0] if found else None
