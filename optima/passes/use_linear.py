"""Write a matrix product with a constant right side as ``linear``, the form that has a packed kernel."""

from __future__ import annotations

from dataclasses import replace

from optima.graph import Graph, Op, Tensor, TensorType
from optima.passes.context import PassContext
from optima.recipe import derived_param, param

#: op -> (role of the left side, role of the right side, role of the addend or None)
_PRODUCTS = {
    "mm": ("self", "mat2", None),
    "matmul": ("self", "other", None),
    "addmm": ("mat1", "mat2", "self"),
}
_FLOATS = ("float64", "float32", "float16", "bfloat16")


def use_linear(graph: Graph, context: PassContext) -> Graph:
    """``mm``, ``matmul`` and ``addmm`` by a 2-D parameter become ``linear`` by its transpose.

    Exact but for the order of summation, which torch does not fix either.
    """
    made: list[Tensor] = []
    ops = [_as_linear(graph, op, made) for op in graph.ops]
    return graph.rebuild(ops, made)


def _as_linear(graph: Graph, op: Op, made: list[Tensor]) -> Op:
    if op.op not in _PRODUCTS:
        return op
    left, right, addend = _PRODUCTS[op.op]
    x, matrix, bias = op.operand(left), op.operand(right), op.operand(addend or "")
    if x is None or matrix is None or not graph.tensors[matrix].is_param:
        return op
    type_ = graph.type_of(matrix)
    if len(type_.shape) != 2 or len(graph.type_of(x).shape) < 2 or type_.dtype not in _FLOATS:
        return op
    if addend and not _is_plain_bias(graph, op, bias, type_):
        return op
    weight_type = TensorType((type_.shape[1], type_.shape[0]), type_.dtype)
    weight = derived_param(graph, f"{op.name}.weight", ["transpose", param(matrix), [1, 0]], weight_type)
    made.append(weight)
    operands = {"input": x, "weight": weight.name} | ({"bias": bias} if bias is not None else {})
    return replace(op, op="linear", inputs=tuple(operands.values()), roles=tuple(operands), attrs={})


def _is_plain_bias(graph: Graph, op: Op, bias: str | None, matrix: TensorType) -> bool:
    """Whether ``addmm`` adds one number per column, unscaled."""
    scaled = op.attrs.get("alpha", 1) != 1 or op.attrs.get("beta", 1) != 1
    return bias is not None and not scaled and graph.type_of(bias).shape == (matrix.shape[1],)
