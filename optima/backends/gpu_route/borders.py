"""A subgraph's borders beside its device: which arrays cross, and what the host copies by itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devices import Problem, UserError
from optima.backends.gpu_route.meta import GpuSubgraph
from optima.backends.llvm.buffers import Array, bound


def check_borders(meta: GpuSubgraph, borders: Mapping[str, Array]) -> None:
    """Raise UserError naming the borders that are missing, or have another shape or dtype than ``meta`` says."""
    wrong = [
        Problem(b.name, f"a dense, aligned {b.dtype}{list(b.shape)} is needed")
        for b in meta.buffers
        if b.kind == "border" and not bound(b, borders.get(b.name))
    ]
    if wrong:
        raise UserError(f"{meta.name} cannot be bound to these buffers", problems=wrong)


def device_inputs(meta: GpuSubgraph) -> tuple[str, ...]:
    """The borders that are copied to the device, each once."""
    return tuple(dict.fromkeys(meta.inputs))


def device_outputs(meta: GpuSubgraph) -> tuple[str, ...]:
    """The borders that are copied from the device, each once: those that kernels write."""
    not_written = {out for out, _ in meta.copies} | set(meta.inputs)
    return tuple(name for name in dict.fromkeys(meta.outputs) if name not in not_written)


def copy_outputs(meta: GpuSubgraph, borders: Mapping[str, Array], constants: Mapping[str, Array]) -> None:
    """Fill the outputs that are copies of an input, an output or a constant."""
    for out, source in meta.copies:
        array = borders.get(source)
        array = constants[source] if array is None else array
        np.copyto(borders[out], array.reshape(borders[out].shape))
