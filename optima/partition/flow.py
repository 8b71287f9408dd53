"""The graph as lists of ints, in one canonical order: what the algorithms of the split work on.

Op ``v`` of a ``Flow`` is ``ops[v]``; every list is indexed by that number, and every edge goes from a lower
number to a higher one. The order is Kahn's topological order that always takes the ready op with the lowest
number in its name (ops without a number last, by name). Converted graphs are numbered in exported order, so
for them it is the order of the numbers. It depends on names and edges only, never on how the graph was put
together.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from devices import DeviceRef, InternalError
from optima.graph import Graph, Op

#: the rank of a name without a running number: above every number of up to 18 digits
_NO_NUMBER = 1 << 62


@dataclass(frozen=True, eq=False)
class Flow:
    """Ops in canonical order with their edges and the number of their device list.

    ``preds[v]`` and ``succs[v]`` hold each neighbour once. ``device[v]`` numbers the distinct device lists by
    first appearance. Only tensors that an op computes make edges: a parameter or a graph input joins nothing.
    """

    ops: tuple[Op, ...]
    preds: list[tuple[int, ...]]
    succs: list[tuple[int, ...]]
    device: list[int]
    device_count: int

    @classmethod
    def of(cls, graph: Graph) -> Flow:
        """The flow of ``graph``. Raises InternalError if its ops depend on each other in a circle."""
        ranked = sorted(graph.ops, key=_rank)
        preds, succs = _edges(ranked)
        if any(sources and max(sources) >= v for v, sources in enumerate(preds)):
            ranked = [ranked[v] for v in _topological(ranked, preds, succs)]
            preds, succs = _edges(ranked)
        numbers: dict[tuple[DeviceRef, ...], int] = {}
        device = [numbers.setdefault(op.devices, len(numbers)) for op in ranked]
        return cls(tuple(ranked), preds, succs, device, len(numbers))


def _rank(op: Op) -> tuple[int, str]:
    number = op.name.rpartition("_")[2]
    counts = number.isdigit() and number.isascii() and len(number) < 19
    return (int(number) if counts else _NO_NUMBER, op.name)


def _edges(ops: Sequence[Op]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    made_by = {out: v for v, op in enumerate(ops) for out in op.outputs}
    succs: list[list[int]] = [[] for _ in ops]
    preds: list[tuple[int, ...]] = []
    for v, op in enumerate(ops):
        sources: list[int] = []
        for name in op.inputs:
            u = made_by.get(name)
            if u is not None and (not succs[u] or succs[u][-1] != v):
                sources.append(u)
                succs[u].append(v)
        preds.append(tuple(sources))
    return preds, [tuple(s) for s in succs]


def _topological(
    ranked: Sequence[Op], preds: list[tuple[int, ...]], succs: list[tuple[int, ...]]
) -> list[int]:
    """Kahn's order that always takes the ready op of the lowest rank."""
    waiting = [len(p) for p in preds]
    ready = [v for v, count in enumerate(waiting) if not count]  # ascending, so already a heap
    order: list[int] = []
    while ready:
        v = heapq.heappop(ready)
        order.append(v)
        for s in succs[v]:
            waiting[s] -= 1
            if not waiting[s]:
                heapq.heappush(ready, s)
    if len(order) < len(ranked):
        stuck = [op.problem("depends on itself") for op, count in zip(ranked, waiting, strict=True) if count]
        raise InternalError("the graph has a cycle: it cannot be split", problems=stuck)
    return order
