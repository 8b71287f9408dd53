"""What the two flavours of SPIR-V differ in when they are compiled: the language, and who compiles it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from optima.backends.spirv import clang, glslang
from optima.backends.spirv.compiler import Compiler
from optima.backends.spirv.meta import Flavour
from optima.backends.spirv.tools import CLANG_INSTALL, GLSLANG_INSTALL
from optima.kernels.gpu.printer.dialect import Dialect
from optima.kernels.gpu.printer.glsl import Glsl
from optima.kernels.gpu.printer.opencl import OpenCl
from optima.tools import ToolMissing


@dataclass(frozen=True)
class Route:
    """From TensorIR to modules of one flavour.

    ``environment``: what the modules run in, as a manifest says it. ``finders``: its compilers in order of preference,
    each None where it is not here; ``install`` is how to get one.
    """

    dialect: Dialect
    environment: str
    finders: tuple[Callable[[], Compiler | None], ...]
    install: str


ROUTES: dict[Flavour, Route] = {
    "shader": Route(Glsl(), "vulkan1.1", (glslang.of_wheel, glslang.of_system), GLSLANG_INSTALL),
    "kernel": Route(OpenCl(), "opencl with SPIR-V 1.2", (clang.of_wheel, clang.of_system), CLANG_INSTALL),
}


@cache
def find_compiler(flavour: Flavour) -> Compiler:
    """The compiler that jobs of a flavour use. Raises ToolMissing where there is none."""
    return next(iter(_here(flavour).values()))


def compiler_named(flavour: Flavour, name: str) -> Compiler:
    """A compiler by the name that a job has of it. Raises ToolMissing."""
    found = _here(flavour)
    if name not in found:
        raise ToolMissing(f"{name} is not installed here", hint=ROUTES[flavour].install)
    return found[name]


@cache
def _here(flavour: Flavour) -> dict[str, Compiler]:
    route = ROUTES[flavour]
    found = {c.name: c for find in route.finders if (c := find()) is not None}
    if not found:
        raise ToolMissing(f"nothing here compiles SPIR-V of the flavour {flavour!r}", hint=route.install)
    return found
