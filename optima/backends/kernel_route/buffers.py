"""A subgraph's buffers as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import Problem, UserError
from optima.backends.kernel_route.meta import BufferMeta, PlannedSubgraph
from optima.native import is_aligned

Array = np.ndarray[Any, Any]


def bound(buffer: BufferMeta, array: Array | None) -> bool:
    """Whether ``array`` can stand for ``buffer``: there, of its shape and dtype, dense and aligned."""
    return array is not None and array.shape == buffer.shape and array.dtype == buffer.numpy_dtype and is_aligned(array)


def alias_roots(meta: PlannedSubgraph) -> dict[str, str]:
    """Buffer name -> the buffer whose memory it uses: itself, or the end of its chain of aliases.

    A chain that leads round in a circle ends at one of its own aliases.
    """
    owners = {b.name: b.alias_of for b in meta.buffers if b.kind == "alias"}
    roots: dict[str, str] = {}
    for buffer in meta.buffers:
        name, passed = buffer.name, {buffer.name}
        while name in owners and owners[name] not in passed:
            name = roots.get(owners[name], owners[name])
            passed.add(name)
        roots[buffer.name] = name
    return roots


def check_borders(meta: PlannedSubgraph, borders: Mapping[str, Array]) -> None:
    """Raise UserError naming the borders that are missing, or have another shape or dtype than ``meta`` says."""
    wrong = [
        Problem(b.name, f"a dense, aligned {b.dtype}{list(b.shape)} is needed")
        for b in meta.buffers
        if b.kind == "border" and not bound(b, borders.get(b.name))
    ]
    if wrong:
        raise UserError(f"{meta.name} cannot be bound to these buffers", problems=wrong)
