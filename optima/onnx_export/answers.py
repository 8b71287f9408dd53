"""Which ops of a graph can be written as ONNX, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence

from devices import DeviceSpec
from optima.graph import Graph, Op
from optima.ops.entry import Answer, No, Onnx, OpView, Yes
from optima.ops.registry import entry_of


def onnx_answers(graph: Graph, names: Sequence[str], opset: int) -> dict[str, Answer]:
    """An answer for each op of ``names``, for models of this version of the operator set."""
    ops = graph.op_by_name
    return {name: answer(graph, ops[name], opset) for name in names}


def dtype_answers(graph: Graph, names: Sequence[str], spec: DeviceSpec) -> dict[str, Answer]:
    """An answer for each op of ``names``: whether the device has the dtypes of what it reads and makes.

    Parameters do not count: their data is written in the form that the op's rule needs.
    """
    ops = graph.op_by_name
    return {name: _dtype_answer(graph, ops[name], spec) for name in names}


def _dtype_answer(graph: Graph, op: Op, spec: DeviceSpec) -> Answer:
    for name in (*op.inputs, *op.outputs):
        tensor = graph.tensors[name]
        if not tensor.is_param and tensor.dtype not in spec.dtypes:
            return No(f"{tensor.dtype} is not a dtype of {spec.kind.value}")
    return Yes()


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
