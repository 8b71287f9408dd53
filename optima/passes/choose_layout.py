"""Give convolutions, poolings and what stands between them channel-blocked tensors; pack the weights of ``linear``.

Ops are visited in order. One that has a blocked form takes blocked operands, made by ``to_blocked`` where only the
dense form exists; any other op gets dense operands, made back by ``from_blocked``. Each form of a tensor is made
once, where it is first needed. Borders keep their dense names; the blocked form of ``t`` is ``t.nchw16c``.

Where channels do not fill the last block, its spare lanes hold one known number: zero behind a convolution, and
what the op's own reference says behind an elementwise op. Only lanes that are known and finite are let pass, since
a later convolution multiplies them by zero weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.entry import Trait
from optima.ops.registry import entry_of
from optima.passes.blocked_rules import BLOCKED_RULES, Blocked, elementwise_form
from optima.passes.blocked_weights import WeightPacker, ceil_div
from optima.passes.context import PassContext


def choose_layout(graph: Graph, context: PassContext) -> Graph:
    """The graph in blocked form, ``context.lanes`` channels to a block. Sums may be taken in another order."""
    return Layout(graph, context.lanes).run()


class Layout:
    """The state of the walk: which forms of each tensor exist, and the ops written so far."""

    def __init__(self, graph: Graph, block: int) -> None:
        self.graph = graph
        self.block = block
        self.weights = WeightPacker(graph, block)
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        #: dense name -> what the spare lanes of its blocked form hold
        self.spare: dict[str, float] = {}
        self.dense = {*graph.inputs, *(p.name for p in graph.params)}

    def run(self) -> Graph:
        """Walk the ops and return the rewritten graph."""
        for op in self.graph.ops:
            form = self._form(op)
            if form is None:
                for name in op.inputs:
                    self.need_dense(name)
                self.ops.append(op)
                self.dense.update(op.outputs)
            else:
                self._write(op, form)
        for name in self.graph.outputs:
            self.need_dense(name)
        return self.graph.rebuild(self.ops, [*self.weights.made.values(), *self.tensors.values()])

    def _form(self, op: Op) -> Blocked | None:
        if len(op.outputs) != 1 or any(self.graph.type_of(n).numel == 0 for n in (*op.inputs, *op.outputs)):
            return None
        if self.graph.type_of(op.outputs[0]).dtype != "float32":
            return None
        rule: Callable[[Layout, Op], Blocked | None] | None = BLOCKED_RULES.get(op.op)
        entry = entry_of(op.op)
        if rule is None and entry is not None and entry.has(Trait.ELEMENTWISE):
            rule = elementwise_form
        return rule(self, op) if rule is not None else None

    def _write(self, op: Op, form: Blocked) -> None:
        (out,) = op.outputs
        if form.spare is None:
            self.ops.append(form.op)
            self.dense.add(out)
            return
        name = self.blocked_name(out)
        self.tensors[name] = Tensor(name, form.type)
        self.ops.append(replace(form.op, outputs=(name,)))
        self.spare[out] = form.spare

    def blocked_name(self, tensor: str) -> str:
        """The name of a tensor's blocked form."""
        return f"{tensor}.nchw{self.block}c"

    def blocked_type(self, tensor: str) -> TensorType:
        """The type of a 4-D tensor's blocked form."""
        kind = self.graph.type_of(tensor)
        n, c, h, w = kind.shape
        return TensorType((n, ceil_div(c, self.block), h, w, self.block), kind.dtype)

    def is_blocked(self, tensor: str) -> bool:
        """Whether the blocked form exists at this point of the walk."""
        return tensor in self.spare

    def need_blocked(self, tensor: str) -> str:
        """The name of the blocked form, written here if it does not exist yet."""
        name = self.blocked_name(tensor)
        if tensor not in self.spare:
            self.tensors[name] = Tensor(name, self.blocked_type(tensor))
            move = Op(f"{tensor}.to_blocked", "to_blocked", (tensor,), ("self",), (name,), {"block": self.block})
            self.ops.append(self._with_place(move, tensor))
            self.spare[tensor] = 0.0
        return name

    def need_dense(self, tensor: str) -> str:
        """The dense tensor, written here if only its blocked form exists yet."""
        if tensor not in self.dense:
            channels = self.graph.type_of(tensor).shape[1]
            move = Op(
                f"{tensor}.from_blocked",
                "from_blocked",
                (self.blocked_name(tensor),),
                ("self",),
                (tensor,),
                {"channels": channels},
            )
            self.ops.append(self._with_place(move, tensor))
            self.dense.add(tensor)
        return tensor

    def _with_place(self, move: Op, tensor: str) -> Op:
        """A layout move runs where its tensor is made, or first read, and belongs to that line of the user's."""
        producer = self.graph.producer.get(tensor)
        near = producer if producer is not None else self.graph.consumers[tensor][0]
        return replace(move, origins=near.origins, devices=near.devices)

