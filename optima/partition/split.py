"""``partition(graph) -> Split``: subgraphs in execution order, and every tensor that crosses a border."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from devices import DeviceRef, Family, InternalError
from optima.graph import Graph
from optima.partition.check import execution_order
from optima.partition.flow import Flow
from optima.partition.merge import merge_parts
from optima.partition.waves import cut_waves

#: how a border tensor gets across
Kind = Literal["alias", "copy"]


@dataclass(frozen=True, eq=False)
class Subgraph:
    """One part of the model: ops that share one device list, as a graph of its own.

    ``name`` is ``"subgraph_<index>"``, ``index`` its place in the execution order, ``devices`` the map's
    preference list (the first is compiled for by default). ``graph.inputs`` and ``graph.outputs`` are its
    border tensors.
    """

    name: str
    index: int
    devices: tuple[DeviceRef, ...]
    graph: Graph


class Transfer(NamedTuple):
    """A tensor on its way from the subgraph that makes it to one that reads it (names of subgraphs).

    ``nbytes`` is the dense size. ``kind``: "alias" when the first choice on both sides is a CPU kind, for
    these share the host's memory; "copy" otherwise.
    """

    tensor: str
    source: str
    target: str
    nbytes: int
    kind: Kind


@dataclass(frozen=True, eq=False)
class Split:
    """Subgraphs in an order in which they can run, and the transfers between them in order of production.

    Graph inputs, parameters, and outputs that are one of these, belong to no subgraph and are no transfers.
    """

    subgraphs: tuple[Subgraph, ...]
    transfers: tuple[Transfer, ...]

    def __str__(self) -> str:
        """The placement table: one line per subgraph, then the transfers in one line."""
        rows = [
            (s.name, ", ".join(map(str, s.devices)), f"{len(s.graph.ops)} ops", f"{s.graph.ops[0].name} ...")
            for s in self.subgraphs
        ]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
        copied = [t.nbytes for t in self.transfers if t.kind == "copy"]
        lines.append(f"{len(self.transfers)} transfers, {len(copied)} of them copies ({sum(copied)} bytes)")
        return "\n".join(lines)

    @cached_property
    def subgraph_of(self) -> Mapping[str, Subgraph]:
        """Op name -> the subgraph that holds it."""
        return {op.name: sub for sub in self.subgraphs for op in sub.graph.ops}

    @property
    def borders(self) -> tuple[str, ...]:
        """The tensors that cross from one subgraph to another, each once, in order of production."""
        return tuple(dict.fromkeys(t.tensor for t in self.transfers))


def assign(graph: Graph, allocation: Mapping[str, tuple[DeviceRef, ...]]) -> Graph:
    """The same graph with ``Op.devices`` set. Entries for ops that the graph does not hold have no effect.

    Raises InternalError for an op without an entry: ``optima.allocation`` lets no such map through.
    """
    missing = [op.problem("has no device") for op in graph.ops if not allocation.get(op.name)]
    if missing:
        raise InternalError("ops without a device reached the split", problems=missing)
    return replace(graph, ops=tuple(replace(op, devices=tuple(allocation[op.name])) for op in graph.ops))


def partition(graph: Graph) -> Split:
    """Split ``graph``, whose ops carry their devices, into as few subgraphs as a linear method finds.

    The quotient is acyclic, no two subgraphs of one device list can be merged, one device list gives one
    subgraph, and the result depends on names, edges and devices only (not on the order of map keys or
    nodes). Time O(V log V + k(V+E)) for k distinct device lists. Raises InternalError if an op has no
    device or the graph is cyclic.
    """
    missing = [op.problem("has no device") for op in graph.ops if not op.devices]
    if missing:
        raise InternalError("ops without a device reached the split", problems=missing)
    with _collector_paused():
        flow = Flow.of(graph)
        parts = [[flow.ops[v] for v in part] for part in sorted(merge_parts(flow, cut_waves(flow)))]
        subgraphs = []
        for index, i in enumerate(execution_order(graph, parts)):
            name = f"subgraph_{index}"
            subgraphs.append(Subgraph(name, index, parts[i][0].devices, graph.extract(name, parts[i])))
        return Split(tuple(subgraphs), _transfers(graph, subgraphs))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector out of the split, which makes no reference cycles.

    Its many small objects would have the collector walk the whole heap again and again: two fifths of the
    time at 100,000 ops.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _transfers(graph: Graph, subgraphs: list[Subgraph]) -> tuple[Transfer, ...]:
    readers: dict[str, list[Subgraph]] = {}
    for sub in subgraphs:
        for tensor in sub.graph.inputs:
            readers.setdefault(tensor, []).append(sub)
    on_cpu = [sub.devices[0].kind.family is Family.CPU for sub in subgraphs]
    transfers = []
    for source in subgraphs:
        source_on_cpu = on_cpu[source.index]
        for tensor in source.graph.outputs:
            for target in readers.get(tensor, ()):
                kind: Kind = "alias" if source_on_cpu and on_cpu[target.index] else "copy"
                nbytes = graph.tensors[tensor].type.nbytes
                transfers.append(Transfer(tensor, source.name, target.name, nbytes, kind))
    return tuple(transfers)
