"""Take ops that compute no element out of the graph, so that no kernel ever writes a tensor of zero size.

Their outputs become empty parameters. An op that then depends on constants alone (the sum over no element, a
product with no inner index) is evaluated; a joining op no longer reads its empty members. An output of the
graph that has become constant is a reshape of a parameter: the runtime owes the caller a buffer of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optima.graph import Graph, Op, Tensor, numpy_dtype
from optima.ops.entry import Trait
from optima.ops.reference import infer_types
from optima.ops.registry import entry_of
from optima.passes.context import PassContext
from optima.passes.fold_constants import fold_constants
from optima.recipe import frozen
from torch2nx.errors import GraphError


def skip_empty(graph: Graph, context: PassContext) -> Graph:
    """The graph without ops whose outputs all have no element. Exact.

    An op of several outputs of which only some are empty stays, and so does one that reads both an empty
    tensor and something that an input reaches (other than by joining).
    """
    if all(t.type.numel for t in graph.tensors.values()):
        return graph
    made: list[Tensor] = []
    ops: list[Op] = []
    for op in graph.ops:
        if op.outputs and all(graph.type_of(n).numel == 0 for n in op.outputs):
            made += [_empty_param(graph.tensors[n]) for n in op.outputs]
        else:
            ops.append(_without_empty_inputs(graph, _without_empty_members(graph, op), made))
    return _with_own_outputs(graph, fold_constants(graph.rebuild(ops, made))[0])


def _with_own_outputs(before: Graph, graph: Graph) -> Graph:
    """``graph`` with an op for each output that an op of ``before`` made and that is a parameter now."""
    constant = [n for n in dict.fromkeys(graph.outputs) if graph.tensors[n].is_param]
    values = {n: f"{n}.value" for n in constant if not before.tensors[n].is_param}
    if not values:
        return graph
    made: list[Tensor] = []
    ops = [replace(op, inputs=tuple(values.get(n, n) for n in op.inputs)) for op in graph.ops]
    taken = {op.name for op in ops}
    for name, value in values.items():
        tensor, old = graph.tensors[name], before.tensors[name]
        made += [replace(tensor, name=value, argument="", layout=""), old]
        maker = next(op for op in before.ops if name in op.outputs)
        op_name = maker.name if maker.name not in taken else f"{maker.name}.{name}"
        taken.add(op_name)
        attrs = {"shape": tensor.shape}
        ops.append(
            replace(maker, name=op_name, op="reshape", inputs=(value,), outputs=(name,), roles=("self",), attrs=attrs)
        )
    return graph.rebuild(ops, made)


def _empty_param(tensor: Tensor) -> Tensor:
    value = np.empty(tensor.shape, numpy_dtype(tensor.dtype))
    return replace(tensor, is_param=True, value=value, recipe=frozen("it has no element"))


def _without_empty_inputs(graph: Graph, op: Op, made: list[Tensor]) -> Op:
    """``op`` reading a constant in the place of each empty input: there is nothing to wait for."""
    inputs = []
    for name in op.inputs:
        if name in graph.inputs and graph.type_of(name).numel == 0:
            tensor = graph.tensors[name]
            made.append(replace(_empty_param(tensor), name=f"{name}.empty", argument="", layout=""))
            name = made[-1].name
        inputs.append(name)
    return replace(op, inputs=tuple(inputs))


def _without_empty_members(graph: Graph, op: Op) -> Op:
    """``op`` without the empty members of its list operand, where it gives the same type without them."""
    entry = entry_of(op.op)
    if entry is None or not entry.has(Trait.INJECTIVE) or not any(r.endswith("*") for r in entry.operands):
        return op
    if any("." not in role for role in op.roles):
        return op
    full = [n for n in op.inputs if graph.type_of(n).numel]
    head = op.roles[0].split(".")[0] if op.roles else ""
    if not full or len(full) == len(op.inputs) or {r.split(".")[0] for r in op.roles} != {head}:
        return op
    fewer = replace(op, inputs=tuple(full), roles=tuple(f"{head}.{i}" for i in range(len(full))))
    try:
        types = infer_types(fewer, [graph.type_of(n) for n in full])
    except GraphError:
        return op
    return fewer if types == tuple(graph.type_of(n) for n in op.outputs) else op
