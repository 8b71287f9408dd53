"""Drop ops that return their operand unchanged, and read through chains of reshapes.

An identity (full slice, ``to`` the same dtype, dropout at inference, reshape to the same shape) goes away; a
view that keeps row-major order becomes ``reshape``, which moves no byte; a reshape of a reshape reads the
first one's operand. The graph's outputs keep their names, and an output that is another name of an input, of
a parameter or of another output keeps its op: the runtime owes the caller two buffers there.
"""

from __future__ import annotations

from dataclasses import replace

from optima.graph import Graph, Op, Origin
from optima.ops.entry import Trait
from optima.ops.identity import keeps_bytes
from optima.ops.registry import entry_of
from optima.passes.context import PassContext
from optima.passes.origins import merged_origins, union


def drop_noop_views(graph: Graph, context: PassContext) -> Graph:
    """The graph with views that do nothing dropped, and chains of reshapes shortened. Exact."""
    rewriter = _Rewriter(graph)
    for op in graph.ops:
        rewriter.visit(op)
    return rewriter.result()


class _Rewriter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ops: dict[str, Op] = {}
        #: tensor -> the op in ``ops`` that computes it
        self.maker: dict[str, str] = {}
        #: dropped output -> the tensor that it equals, and the origins that its readers inherit
        self.same_as: dict[str, str] = {}
        self.inherited: dict[str, tuple[Origin, ...]] = {}
        #: tensor -> the name that it takes because it is the graph's output under that name
        self.output_name: dict[str, str] = {}

    def visit(self, op: Op) -> None:
        """Take over one op: as it is, rewritten, or not at all."""
        inherited = [self.inherited[n] for n in op.inputs if n in self.inherited]
        op = replace(
            op,
            inputs=tuple(self.same_as.get(n, n) for n in op.inputs),
            origins=union(op.origins, *inherited),
        )
        if len(op.inputs) == 1 and len(op.outputs) == 1:
            source, out = op.inputs[0], op.outputs[0]
            if keeps_bytes(op, self.graph.type_of(source), self.graph.type_of(out)):
                op, source = self._read_through(op)
                same = self.graph.type_of(source) == self.graph.type_of(out)
                if same and self._drop(op, source, out):
                    return
        self.ops[op.name] = op
        self.maker.update(dict.fromkeys(op.outputs, op.name))

    def _read_through(self, op: Op) -> tuple[Op, str]:
        """``op`` as a reshape of the first tensor of its chain, and that tensor."""
        source = op.inputs[0]
        entry = entry_of(op.op)
        is_reshape = entry is not None and entry.has(Trait.RESHAPE)
        before = self.ops.get(self.maker.get(source, ""))
        if before is not None and self._is_reshape(before):
            first = before.inputs[0]
            return self._reshape(op, first, merged_origins(before, op)), first
        if is_reshape or self.graph.type_of(source).shape == self.graph.type_of(op.outputs[0]).shape:
            return op, source
        return self._reshape(op, source, op.origins), source

    def _is_reshape(self, op: Op) -> bool:
        return len(op.inputs) == 1 == len(op.outputs) and keeps_bytes(
            op, self.graph.type_of(op.inputs[0]), self.graph.type_of(op.outputs[0])
        )

    def _reshape(self, op: Op, source: str, origins: tuple[Origin, ...]) -> Op:
        shape = self.graph.type_of(op.outputs[0]).shape
        attrs = {"shape": shape}
        return replace(op, op="reshape", inputs=(source,), roles=("self",), attrs=attrs, origins=origins)

    def _drop(self, op: Op, source: str, out: str) -> bool:
        """Do without ``op``, whose output equals ``source``; False where it has to stay."""
        maker = self.maker.get(source)
        if out in self.graph.outputs:
            if maker is None or source in self.graph.outputs or source in self.output_name:
                return False
            if self.graph.tensors[source].layout or self.ops[maker].devices != op.devices:
                return False
            self.output_name[source] = out
        self.same_as[out] = source
        if maker is None:
            self.inherited[out] = op.origins
        else:
            self.ops[maker] = replace(self.ops[maker], origins=merged_origins(self.ops[maker], op))
        return True

    def result(self) -> Graph:
        """The rebuilt graph. Reshapes that were read past stay in it; ``drop_unused_ops`` follows."""
        name = self.output_name
        return self.graph.rebuild(
            replace(
                op,
                inputs=tuple(name.get(n, n) for n in op.inputs),
                outputs=tuple(name.get(n, n) for n in op.outputs),
            )
            for op in self.ops.values()
        )
