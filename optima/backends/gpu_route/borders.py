"""A subgraph's borders beside its device: which arrays cross, and what the host copies by itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optima.backends.gpu_route.meta import GpuSubgraph
from optima.backends.kernel_route.buffers import Array


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
