"""The SPIR-V part of ``<subgraph>.meta``: buffers, kernels, launches. Written by ``link``, read by ``load``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optima.backends.llvm.meta import KernelCall, KernelFile, PlannedSubgraph

FORMAT_VERSION = 1
#: "shader" for Vulkan, "kernel" for OpenCL: SPIR-V's own words for the two
Flavour = Literal["shader", "kernel"]
#: every buffer starts at a multiple of this: the most that Vulkan lets a device ask for; what Mesa's OpenCL asks for
ALIGNMENT: Mapping[Flavour, int] = {"shader": 256, "kernel": 512}
Sizes = tuple[int, int, int]


class ArgumentMeta(BaseModel):
    """One buffer of a kernel: its binding in descriptor set 0, or its place among the arguments of an OpenCL kernel;
    its stored dtype (a bool is a uint8)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    binding: int = Field(ge=0)
    dtype: str
    access: Literal["read", "write"]


class KernelMeta(KernelFile):
    """A module and how to launch it: ``groups`` workgroups of ``threads`` invocations, each of three axes.

    ``capabilities`` are SPIR-V's names of what the device must have; ``arguments`` are in the order of a call's.
    ``rounds``: how often the loops of one invocation go round, all together, at most.
    """

    entry_point: str
    threads: Sizes
    groups: Sizes
    arguments: tuple[ArgumentMeta, ...]
    shared_bytes: int = Field(ge=0)
    rounds: int = Field(ge=0)
    capabilities: tuple[str, ...]


class CallMeta(KernelCall):
    """One launch. ``results``: the graph's tensors that are complete after it."""

    results: tuple[str, ...] = ()


class SpirvSubgraph(PlannedSubgraph):
    """Kernels for a GPU."""

    flavour: Flavour
    kernels: tuple[KernelMeta, ...]
    calls: tuple[CallMeta, ...]

    @property
    def alignment(self) -> int:
        """What every buffer's offset is a multiple of."""
        return ALIGNMENT[self.flavour]
