"""The SPIR-V part of ``<subgraph>.meta``. Written by ``link``, read by ``load``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from optima.backends.gpu_route.meta import ArgumentMeta, GpuKernel, GpuSubgraph

FORMAT_VERSION = 1

Flavour = Literal["shader"]


class BoundArgument(ArgumentMeta):
    """A storage buffer, by its binding in descriptor set 0."""

    binding: int = Field(ge=0)


class KernelMeta(GpuKernel):
    """A module.

    ``capabilities`` are SPIR-V's names of what the device must have. ``rounds``: how often the loops of one
    invocation go round, all together, at most.
    """

    file: str
    arguments: tuple[BoundArgument, ...]
    rounds: int = Field(ge=0)
    capabilities: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """See ``GpuKernel``."""
        return (self.file,)


class SpirvSubgraph(GpuSubgraph[KernelMeta]):
    """See ``GpuSubgraph``."""

    flavour: Flavour
