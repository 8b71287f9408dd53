"""Write the parts of a split as slices, each an op of its own.

A slice is read with an offset by the kernel that uses it (``fuse_epilogues``); a split with several outputs would
copy them all first. Parts that nobody reads go away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from optima.graph import Graph, Op
from optima.passes.context import PassContext

#: ops whose outputs are consecutive parts along ``dim``; ``unbind`` drops the axis too
_SPLITS: Final = ("split", "split_with_sizes", "chunk", "unbind")


def split_to_slices(graph: Graph, context: PassContext) -> Graph:
    """The graph with ``split``, ``chunk`` and ``unbind`` as ``slice`` and ``select``. Exact."""
    return graph.rebuild([part for op in graph.ops for part in _parts(graph, op)])


def _parts(graph: Graph, op: Op) -> Iterator[Op]:
    if op.op not in _SPLITS:
        yield op
        return
    rank = len(graph.type_of(op.inputs[0]).shape)
    dim = op.attrs["dim"] % rank
    unbinds = op.op == "unbind"
    extents = [1 if unbinds else graph.type_of(out).shape[dim] for out in op.outputs]
    for index, (end, extent, out) in enumerate(zip(accumulate(extents), extents, op.outputs, strict=True)):
        if not graph.consumers[out] and out not in graph.outputs:
            continue
        attrs: dict[str, Any] = {"dim": dim, "index": index}
        if not unbinds:
            attrs = {"dim": dim, "start": end - extent, "end": end, "step": 1}
        yield replace(
            op, name=f"{op.name}.{index}", op="select" if unbinds else "slice", outputs=(out,), attrs=attrs
        )
