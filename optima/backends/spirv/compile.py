"""One kernel's job: group text -> shader text -> SPIR-V modules and what a caller must know, in one archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optima.backends.gpu_route.job import archive, source_of
from optima.backends.spirv.compiler import find_compiler, module_of
from optima.backends.spirv.words import capabilities
from optima.kernels.gpu.printer.glsl import Glsl


def compile_kernel(payload: Mapping[str, Any]) -> bytes:
    """A group's modules ``0.spv``, ``1.spv``, ... in order of launch: an archive, see ``gpu_route.job``.

    Pure: the bytes depend on the payload and the tools only. Raises ToolFailed, BadSpirv and Unprintable.
    """
    made = source_of(payload, Glsl())
    modules = [module_of(launch["text"], payload["compiler"]) for launch in made["launches"]]
    facts = [{"capabilities": list(capabilities(module))} for module in modules]
    return archive(made, {f"{i}.spv": module for i, module in enumerate(modules)}, facts)


def preflight() -> None:
    """Raise ToolMissing, before any job runs, where there is no shader compiler."""
    find_compiler()
