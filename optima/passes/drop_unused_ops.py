"""Drop ops that no output of the graph depends on: what passes read past, what nobody ever used."""

from __future__ import annotations

from optima.graph import Graph, Op
from optima.passes.context import PassContext


def drop_unused_ops(graph: Graph, context: PassContext) -> Graph:
    """The graph without dead ops. Exact. An op with one used result keeps them all."""
    read = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if not read.isdisjoint(op.outputs):
            read.update(op.inputs)
            kept.append(op)
    return graph.rebuild(reversed(kept))
