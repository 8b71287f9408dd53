"""The LLVM part of ``<subgraph>.meta``. Written by ``link``, read by ``load``."""

from __future__ import annotations

from collections.abc import Iterator

from devices import Problem
from optima.backends.kernel_route.meta import KernelCall, KernelFile, PlannedSubgraph
from optima.native import KERNEL_ABI

FORMAT_VERSION = 1


class KernelMeta(KernelFile):
    """The C symbol in a kernel's file (kernel ABI version 1, docs/kernel_abi.md)."""

    symbol: str


class CallMeta(KernelCall):
    """The arguments are inputs, then constants, then outputs.

    ``results`` maps graph tensor name -> how to read it back in logical form, for ``trace``: the buffer's name
    and its number of channels where the buffer is blocked (``[N, C / b, *spatial, b]``), 0 for a dense one.
    """

    results: dict[str, tuple[str, int]] = {}


class LlvmSubgraph(PlannedSubgraph):
    """Kernels for a CPU."""

    kernel_abi: int
    kernels: tuple[KernelMeta, ...]
    calls: tuple[CallMeta, ...]


def own_problems(meta: LlvmSubgraph) -> Iterator[Problem]:
    """Kernels of another ABI, and results that cannot be read back."""
    if meta.kernel_abi != KERNEL_ABI:
        yield Problem("kernel_abi", f"is {meta.kernel_abi}; this Optima calls kernels of ABI {KERNEL_ABI}")
    buffers = {b.name: b for b in meta.buffers}
    for i, call in enumerate(meta.calls):
        for name, (buffer, channels) in call.results.items():
            if buffer not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {buffer}")
            shape = buffers[buffer].shape if buffer in buffers else ()
            if channels and (len(shape) < 3 or not 0 < channels <= shape[1] * shape[-1]):
                yield Problem(name, f"{buffer} does not hold {channels} channels in blocks")
