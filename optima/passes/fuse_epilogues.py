"""Group ops into kernels: an anchor, the elementwise ops that follow it, and the cheap ops that feed it.

Order is what keeps groups free of cycles. Every group has an anchor; whatever a group reads from outside is
computed by an op that stands before the anchor in the graph's order, and the only tensor that a group of
several ops shows outside is its last one, made no earlier than the anchor. So an edge between groups always
leads from an earlier anchor to a later one, and groups in the order of their anchors are in topological
order. The pass writes them in that order, each group's ops side by side: executing groups in order of their
last (or first) op is valid.

An op that only reshapes gets no kernel: its output is an alias of its input's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from devices import InternalError
from optima.graph import Graph, Op
from optima.ops.entry import OpEntry, Trait
from optima.ops.registry import entry_of
from optima.passes.context import PassContext

#: tensors that one kernel may read; each is an argument and a base register
_MAX_INPUTS = 12
#: how far an elementwise group looks for the op at which its branches meet
_MAX_REGION = 24


def fuse_epilogues(graph: Graph, context: PassContext) -> Graph:
    """The graph with ``Op.kernel`` set (``""`` for aliases) and ops in the order of their groups. Exact."""
    grouping = _Grouping(graph)
    for trait in (Trait.CONTRACTION, Trait.REDUCTION, None):
        for op in graph.ops:
            if trait is None or grouping.has(op, trait):
                grouping.grow_from(op)
    return grouping.result()


def groups_of(graph: Graph) -> list[tuple[str, tuple[Op, ...]]]:
    """(kernel, its ops) in an order in which they can run; an alias is a group of its own, of kernel ``""``.

    Raises InternalError when a kernel's ops do not stand side by side, for then no such order is promised.
    """
    groups: list[tuple[str, list[Op]]] = []
    seen: set[str] = set()
    for op in graph.ops:
        if op.kernel and groups and groups[-1][0] == op.kernel:
            groups[-1][1].append(op)
            continue
        if op.kernel in seen:
            raise InternalError(f"the ops of kernel {op.kernel} do not stand side by side")
        groups.append((op.kernel, [op]))
        if op.kernel:
            seen.add(op.kernel)
    return [(kernel, tuple(ops)) for kernel, ops in groups]


class _Grouping:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position = {op.name: i for i, op in enumerate(graph.ops)}
        self.final = set(graph.outputs)
        #: op name -> position of its group's anchor
        self.anchor: dict[str, int] = {}

    def entry(self, op: Op) -> OpEntry | None:
        return entry_of(op.op)

    def has(self, op: Op, *traits: Trait) -> bool:
        entry = self.entry(op)
        return entry is not None and any(map(entry.has, traits))

    def is_alias(self, op: Op) -> bool:
        return self.has(op, Trait.RESHAPE) and len(op.inputs) == 1 == len(op.outputs)

    def grow_from(self, anchor: Op) -> None:
        """Make the group of ``anchor``, unless it is in one already."""
        if anchor.name in self.anchor or self.is_alias(anchor):
            return
        at = self.position[anchor.name]
        group = [anchor]
        if self._may_grow(anchor):
            group = self._with_producers(group, at)
            while (wider := self._with_next(group, at)) is not None:
                group = wider
        self.anchor.update((op.name, at) for op in group)

    def _may_grow(self, anchor: Op) -> bool:
        entry = self.entry(anchor)
        if entry is None or len(anchor.outputs) != 1 or entry.has(Trait.OPAQUE) or self._touches_bfloat16(anchor):
            return False
        # A blocked form that only moves elements has a schedule that moves them and nothing else.
        return not entry.internal or self.has(anchor, Trait.CONTRACTION, Trait.REDUCTION)

    def _touches_bfloat16(self, op: Op) -> bool:
        """Whether the op stays alone: TVM's bfloat16 lowering mixes lanes in fused tiles, and LLVM refuses them."""
        return any(self.graph.type_of(name).dtype == "bfloat16" for name in (*op.inputs, *op.outputs))

    def _with_next(self, group: list[Op], at: int) -> list[Op] | None:
        """The group with the ops up to where its one visible tensor is read no more, or None at its end."""
        inside = {op.name for op in group}
        region: list[Op] = []
        live = self._live(group, inside)
        # Branches that part behind a contraction are left to another kernel: its tile loop writes one tensor.
        limit = 1 if self._is_heavy(at) else _MAX_REGION
        while len(region) < limit:
            readers = {c.name: c for name in live for c in self.graph.consumers[name] if c.name not in inside}
            if not readers or any(name in self.final for name in live):
                return None
            op = min(readers.values(), key=lambda c: self.position[c.name])
            if not self._joins(op, inside, at):
                return None
            region.append(op)
            inside.add(op.name)
            live = self._live([*group, *region], inside)
            if live == list(op.outputs):
                wider = self._with_producers([*group, *region], at)
                names = {member.name for member in wider}
                reads = self._inputs(wider, names)
                sound = len(reads) <= _MAX_INPUTS and all(self._available(n, names, at) for n in reads)
                return wider if sound else None
        return None

    def _is_heavy(self, at: int) -> bool:
        """Whether the anchor has a schedule of its own, which knows its operands as they lie in memory."""
        return self.has(self.graph.ops[at], Trait.CONTRACTION, Trait.REDUCTION)

    def _live(self, group: Iterable[Op], inside: set[str]) -> list[str]:
        """The tensors of the group that something outside it reads, or that the graph returns."""
        return [
            out
            for op in group
            for out in op.outputs
            if out in self.final
            or not self.graph.consumers[out]
            or any(c.name not in inside for c in self.graph.consumers[out])
        ]

    def _joins(self, op: Op, inside: set[str], at: int) -> bool:
        anchor, within = self.graph.ops[at], inside | {op.name}
        return (
            op.name not in self.anchor
            and self.has(op, Trait.ELEMENTWISE)
            and not self.has(op, Trait.OPAQUE)
            and len(op.outputs) == 1
            and not self._touches_bfloat16(op)
            and op.devices == anchor.devices
            and self.graph.type_of(op.outputs[0]).shape == self.graph.type_of(anchor.outputs[0]).shape
            and all(self._available(n, inside, at) or self._can_be_fed(n, op, within, at) for n in op.inputs)
        )

    def _can_be_fed(self, tensor: str, reader: Op, inside: set[str], at: int) -> bool:
        producer = self.graph.producer.get(tensor)
        return producer is not None and self._feeds_only(producer, reader, inside, at)

    def _available(self, tensor: str, inside: set[str], at: int) -> bool:
        """Whether a tensor is made inside the group, or by an op before its anchor."""
        producer = self.graph.producer.get(tensor)
        return producer is None or producer.name in inside or self.position[producer.name] < at

    def _inputs(self, group: Iterable[Op], inside: set[str]) -> set[str]:
        names = (n for op in group for n in op.inputs)
        return {n for n in names if n not in self.graph.producer or self.graph.producer[n].name not in inside}

    def _with_producers(self, group: list[Op], at: int) -> list[Op]:
        """The group with ops that feed only it and cost nothing to compute where they are read."""
        inside = {op.name for op in group}
        waiting = list(group)
        while waiting:
            reader = waiting.pop()
            for name in reader.inputs:
                op = self.graph.producer.get(name)
                if op is None or op.name in inside or not self._feeds_only(op, reader, inside, at):
                    continue
                wider = {*inside, op.name}
                if len(self._inputs([*group, op], wider)) > _MAX_INPUTS:
                    continue
                group, inside = [*group, op], wider
                waiting.append(op)
        return sorted(group, key=lambda op: self.position[op.name])

    def _feeds_only(self, op: Op, reader: Op, inside: set[str], at: int) -> bool:
        entry, consumers = self.entry(op), self.entry(reader)
        if entry is None or consumers is None or entry.internal or consumers.internal:
            return False
        return (
            op.name not in self.anchor
            and len(op.outputs) == 1
            and not self._touches_bfloat16(op)
            and op.outputs[0] not in self.final
            and all(c.name in inside for c in self.graph.consumers[op.outputs[0]])
            and op.devices == reader.devices
            and all(self._available(n, inside, at) for n in op.inputs)
            and self._is_cheap_in(op, reader, at)
        )

    def _is_cheap_in(self, op: Op, reader: Op, at: int) -> bool:
        """Whether computing ``op`` where ``reader`` reads it costs no more than storing it first."""
        if self.is_alias(op) or self.has(op, Trait.OPAQUE, Trait.REDUCTION, Trait.CONTRACTION):
            return False
        heavy = self._is_heavy(at)
        if heavy and self.position[reader.name] != at:
            # Behind the anchor's own operands only strides and offsets add up at no cost.
            return len(op.inputs) == 1 and self.has(op, Trait.VIEW) and self.has(reader, Trait.VIEW)
        if self.has(op, Trait.VIEW, Trait.INJECTIVE):
            return len(op.inputs) == 1 or not heavy
        same_shape = self.graph.type_of(op.outputs[0]).shape == self.graph.type_of(reader.outputs[0]).shape
        return self.has(op, Trait.ELEMENTWISE) and self.has(reader, Trait.ELEMENTWISE) and same_shape

    def result(self) -> Graph:
        """Ops sorted by their group's anchor, kernels numbered in that order."""
        place = {op.name: self.anchor.get(op.name, self.position[op.name]) for op in self.graph.ops}
        ops = sorted(self.graph.ops, key=lambda op: (place[op.name], self.position[op.name]))
        number: dict[int, str] = {}
        for op in ops:
            if op.name in self.anchor:
                number.setdefault(place[op.name], f"k{len(number)}")
        return self.graph.rebuild(
            replace(op, kernel=number[place[op.name]] if op.name in self.anchor else "") for op in ops
        )
