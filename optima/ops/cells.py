"""One step of a recurrent layer as one op: ``nn.LSTMCell``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_reduce import Expr, accumulator, convert, fold_terms, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

_GATES = 4


def _lstm_cell(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    """h and c after one step: ``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h' = sigmoid(o) tanh(c')``."""
    from tvm import te

    from optima.ops.vector_math import sigmoid, tanh

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    batch, hidden = out.shape
    projected = [
        _projected(tensors[source], tensors[weight], (batch, _GATES * hidden), acc, name)
        for source, weight, name in (("input", "w_ih", "from_input"), ("hx.0", "w_hh", "from_hidden"))
    ]

    def gate(b: Expr, unit: Expr, number: int) -> Expr:
        row = unit + number * hidden
        value = projected[0](b, row) + projected[1](b, row)
        for bias in ("b_ih", "b_hh"):
            if bias in tensors:
                value = value + load(tensors[bias], row)
        return value

    def next_cell(b: Expr, unit: Expr) -> Expr:
        i, f, g = (gate(b, unit, n) for n in range(3))
        return sigmoid(f) * load(tensors["hx.1"], b, unit) + sigmoid(i) * tanh(g)

    cell = te.compute((batch, hidden), next_cell, name="cell")
    return [
        te.compute(
            out.shape,
            lambda b, u: convert(sigmoid(gate(b, u, 3)) * tanh(cell(b, u)), acc, out.dtype),
            name="h_out",
        ),
        te.compute(out.shape, lambda b, u: convert(cell(b, u), acc, out.dtype), name="c_out"),
    ]


def _projected(x: te.Tensor, weight: te.Tensor, shape: tuple[int, int], acc: str, name: str) -> te.Tensor:
    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        b, row = index
        return load(x, b, *ks) * load(weight, row, *ks)

    return fold_terms("sum", shape, [int(weight.shape[1])], term, acc, name, "gemm")


def _cost(view: OpView) -> Cost:
    """Two products and about ten operations per unit."""
    batch, hidden = view.outputs[0].shape
    products = 2.0 * batch * (view.operands["w_ih"].numel + view.operands["w_hh"].numel)
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(products + 10.0 * batch * hidden, float(moved))


ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "lstm_cell",
        ("input", "hx*", "w_ih", "w_hh", "b_ih?", "b_hh?"),
        aten("lstm_cell"),
        traits=frozenset({Trait.OPAQUE}),
        te=Te(_lstm_cell, refuse_dtypes("float32", "float64")),
        cost=_cost,
    ),
)
