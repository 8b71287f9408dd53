"""Which ops of a graph can be written as ONNX, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence

from optima.graph import Graph, Op
from optima.ops.entry import Answer, No, Onnx, OpView
from optima.ops.registry import entry_of


def onnx_answers(graph: Graph, names: Sequence[str], opset: int) -> dict[str, Answer]:
    """An answer for each op of ``names``, for models of this version of the operator set."""
    ops = graph.op_by_name
    return {name: answer(graph, ops[name], opset) for name in names}


def answer(graph: Graph, op: Op, opset: int) -> Answer:
    """Whether one op can be written; operands that a rule needs as data must be parameters."""
    entry = entry_of(op.op)
    if entry is None:
        return No(f"there is no operator {op.op!r}")
    found = entry.onnx_answer(OpView.of(graph, op), opset)
    if not found or not isinstance(entry.onnx, Onnx):
        return found
    for role, tensor in zip(op.roles, op.inputs, strict=True):
        if role.split(".")[0] in entry.onnx.constants and not graph.tensors[tensor].is_param:
            return No(f"{role} of {op.op} is computed: its ONNX form needs a parameter there")
    return found
