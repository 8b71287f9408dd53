"""One kernel's job: group text -> shader text -> SPIR-V modules and what a caller must know, in one archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optima.backends.gpu_route.job import archive, source_of
from optima.backends.spirv.compiler import module_of
from optima.backends.spirv.flavour import ROUTES, compiler_named, find_compiler
from optima.backends.spirv.words import capabilities


def compile_kernel(payload: Mapping[str, Any]) -> bytes:
    """A group's modules ``0.spv``, ``1.spv``, ... in order of launch: an archive, see ``gpu_route.job``.

    Beside what ``source_of`` reads, the payload has the ``flavour`` and the ``compiler``'s name. Pure: the bytes depend
    on the payload and the tools only. Raises ToolFailed, ToolMissing, BadSpirv and Unprintable.
    """
    flavour = payload["flavour"]
    compiler = compiler_named(flavour, payload["compiler"])
    made = source_of(payload, ROUTES[flavour].dialect)
    modules = [module_of(launch["text"], compiler) for launch in made["launches"]]
    facts = [{"capabilities": list(capabilities(module))} for module in modules]
    return archive(made, {f"{i}.spv": module for i, module in enumerate(modules)}, facts)


def preflight_shader() -> None:
    """Raise ToolMissing, before any job runs, where nothing compiles for Vulkan."""
    find_compiler("shader")


def preflight_kernel() -> None:
    """Raise ToolMissing, before any job runs, where nothing compiles for OpenCL."""
    find_compiler("kernel")
