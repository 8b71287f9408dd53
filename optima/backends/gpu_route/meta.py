"""The part of ``<subgraph>.meta`` that all GPU backends have: kernels and launches, beside the memory plan."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from optima.backends.llvm.meta import CompiledKernel, KernelCall, PlannedSubgraph, StrictMeta

#: the most that Vulkan lets a device ask for, and what CUDA allocates at
ALIGNMENT = 256

Sizes = tuple[int, int, int]


class ArgumentMeta(StrictMeta):
    """One buffer that a kernel takes: its stored dtype (a bool is a uint8), and whether the kernel writes it."""

    dtype: str
    access: Literal["read", "write"]


class GpuKernel(CompiledKernel):
    """A kernel and how to launch it: ``groups`` workgroups of ``threads`` invocations, each of three axes.

    ``arguments`` are in the order of a call's.
    """

    entry_point: str
    threads: Sizes
    groups: Sizes
    arguments: tuple[ArgumentMeta, ...]
    shared_bytes: int = Field(ge=0)


class CallMeta(KernelCall):
    """One launch. ``results``: the graph's tensors that are complete after it."""

    results: tuple[str, ...] = ()


class GpuSubgraph(PlannedSubgraph):
    """Kernels for a GPU."""

    kernels: tuple[GpuKernel, ...]
    calls: tuple[CallMeta, ...]

    @property
    def alignment(self) -> int:
        """What every buffer's offset is a multiple of."""
        return ALIGNMENT
