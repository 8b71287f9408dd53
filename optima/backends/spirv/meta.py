"""The SPIR-V part of ``<subgraph>.meta``. Written by ``link``, read by ``load``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from devices import Problem
from optima.backends.gpu_route import meta as gpu
from optima.backends.kernel_route.meta import KernelFile

FORMAT_VERSION = 1
#: "shader" for Vulkan, "kernel" for OpenCL: SPIR-V's own words for the two
Flavour = Literal["shader", "kernel"]
#: every buffer starts at a multiple of this: the most that Vulkan lets a device ask for; what Mesa's OpenCL asks for
ALIGNMENT: Mapping[Flavour, int] = {"shader": gpu.ALIGNMENT, "kernel": 512}


class BoundArgument(gpu.ArgumentMeta):
    """A buffer, by its binding in descriptor set 0, or its place among the arguments of an OpenCL kernel."""

    binding: int = Field(ge=0)


class KernelMeta(gpu.GpuKernel, KernelFile):
    """A module.

    ``capabilities`` are SPIR-V's names of what the device must have. ``rounds``: how often the loops of one
    invocation go round, all together, at most.
    """

    arguments: tuple[BoundArgument, ...]
    rounds: int = Field(ge=0)
    capabilities: tuple[str, ...]


class SpirvSubgraph(gpu.GpuSubgraph):
    """See ``GpuSubgraph``."""

    flavour: Flavour
    kernels: tuple[KernelMeta, ...]

    @property
    def alignment(self) -> int:
        """See ``GpuSubgraph``."""
        return ALIGNMENT[self.flavour]


def own_problems(meta: SpirvSubgraph) -> Iterator[Problem]:
    """See ``gpu_route.meta.own_problems``; and arguments that are not bound in order, as they are printed."""
    yield from gpu.own_problems(meta)
    for kernel in meta.kernels:
        bindings = [argument.binding for argument in kernel.arguments]
        if bindings != list(range(len(bindings))):
            yield Problem(kernel.name, f"binds its arguments to {bindings[:8]} instead of 0, 1, ...")
