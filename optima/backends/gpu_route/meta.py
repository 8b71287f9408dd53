"""The part of ``<subgraph>.meta`` that all GPU backends have: kernels and launches, beside the memory plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from devices import Problem
from optima.backends.kernel_route.meta import CompiledKernel, KernelCall, PlannedSubgraph, StrictMeta

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
        """See ``PlannedSubgraph``."""
        return ALIGNMENT


def own_problems(meta: GpuSubgraph) -> Iterator[Problem]:
    """Launches and copies that would leave their buffers."""
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name: k for k in meta.kernels}
    for i, call in enumerate(meta.calls):
        if call.kernel in kernels and len(kernels[call.kernel].arguments) != len(call.args):
            yield Problem(f"call {i}", f"{call.kernel} takes {len(kernels[call.kernel].arguments)} buffers")
        for name in call.results:
            if name not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {name}")
    for out, source in meta.copies:
        if source in buffers and buffers[source].kind not in ("border", "constant"):
            yield Problem(out, f"cannot be a copy of {source}, which the host does not hold")
