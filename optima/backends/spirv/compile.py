"""One kernel's job: group text -> shader text -> SPIR-V modules and what a caller must know, in one archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optima.backends.bundle import pack
from optima.backends.spirv.compiler import Compiler, module_of
from optima.backends.spirv.flavour import ROUTES, compiler_named, find_compiler
from optima.backends.spirv.words import capabilities
from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.statements import Printed
from optima.kernels.gpu.source import Source, source
from optima.kernels.gpu.target import GpuTarget

#: the archive's description of its launches
INTERFACE = "interface.json"


def compile_kernel(payload: Mapping[str, Any]) -> bytes:
    """A group's modules, as a job.

    The payload: ``{"group": Graph.dump() text, "target": GpuTarget dict, "flavour": "shader" or "kernel",
    "compiler": its name}``; instead of a group it may have a ``source``, see ``printed``. The archive holds ``0.spv``,
    ``1.spv``, ... in order of launch, and ``interface.json``. Pure: the bytes depend on the payload and the tools only.
    Raises ToolFailed, ToolMissing, BadSpirv and Unprintable.
    """
    target, flavour = GpuTarget.from_dict(payload["target"]), payload["flavour"]
    compiler = compiler_named(flavour, payload["compiler"])
    if "source" in payload:
        return _archive(payload["source"], compiler)
    program = gpu_program(Graph.parse(payload["group"]), target)
    return _archive(printed(source(program, target, ROUTES[flavour].dialect)), compiler)


def printed(made: Source) -> dict[str, Any]:
    """A source as JSON: its launches' texts and interfaces."""
    return {
        "entry_point": made.entry_point,
        "parameters": made.parameters,
        "temporaries": list(made.temporaries),
        "launches": [_launch(kernel) for kernel in made.kernels],
    }


def _launch(kernel: Printed) -> dict[str, Any]:
    return {
        "text": kernel.text,
        "arguments": [[place, a.dtype, a.written] for place, a in kernel.arguments],
        "groups": list(kernel.grid),
        "threads": list(kernel.threads),
        "shared_bytes": kernel.shared_bytes,
        "rounds": kernel.rounds,
    }


def _archive(made: Mapping[str, Any], compiler: Compiler) -> bytes:
    modules = [module_of(launch["text"], compiler) for launch in made["launches"]]
    launches = [
        {k: v for k, v in launch.items() if k != "text"} | {"capabilities": list(capabilities(module))}
        for launch, module in zip(made["launches"], modules, strict=True)
    ]
    interface = json.dumps({**made, "launches": launches}, sort_keys=True).encode()
    return pack({INTERFACE: interface, **{f"{i}.spv": module for i, module in enumerate(modules)}})


def preflight_shader() -> None:
    """Raise ToolMissing, before any job runs, where nothing compiles for Vulkan."""
    find_compiler("shader")


def preflight_kernel() -> None:
    """Raise ToolMissing, before any job runs, where nothing compiles for OpenCL."""
    find_compiler("kernel")
