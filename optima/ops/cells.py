"""One step of a recurrent layer as one op: ``nn.LSTMCell``, ``nn.GRUCell``, ``nn.RNNCell``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_gates import CELLS, HIDDEN, INPUT
from optima.ops.te_reduce import FLOATS, Expr, accumulator, convert, fold_terms, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Slot = Callable[[Expr, Expr], Expr]


def _step(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    """The next hidden state, and for lstm_cell the next cell state after it."""
    from tvm import te

    cell = CELLS[view.op.removesuffix("_cell")]
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    states = [tensors[r] for r in view.operands if r.partition(".")[0] == "hx"]
    slots = _slots(view, tensors, states[0], acc)

    def values(b: Expr, unit: Expr) -> list[Expr]:
        return [slot(b, unit) for slot in slots]

    def hidden(b: Expr, unit: Expr) -> Expr:
        state = memory(b, unit) if cell.memory else load(states[0], b, unit)
        return convert(cell.hidden(values(b, unit), state), acc, out.dtype)

    if cell.memory is None:
        return [te.compute(out.shape, hidden, name="h_out")]
    update = cell.memory
    memory = te.compute(out.shape, lambda b, u: update(values(b, u), load(states[1], b, u)), name="cell")
    return [
        te.compute(out.shape, hidden, name="h_out"),
        te.compute(out.shape, lambda b, u: convert(memory(b, u), acc, out.dtype), name="c_out"),
    ]


def _slots(view: OpView, tensors: Mapping[str, te.Tensor], hidden: te.Tensor, acc: str) -> list[Slot]:
    """For each slot of the cell what it sums, as a function of batch and unit."""
    batch, units = view.outputs[0].shape
    cell = CELLS[view.op.removesuffix("_cell")]
    shape = (batch, cell.gates * units)
    sides = {
        INPUT: (_products(tensors["input"], tensors["w_ih"], shape, acc, "from_input"), "b_ih"),
        HIDDEN: (_products(hidden, tensors["w_hh"], shape, acc, "from_hidden"), "b_hh"),
    }

    def slot_of(gate: int, wanted: str) -> Slot:
        def value(b: Expr, unit: Expr) -> Expr:
            row = unit + gate * units
            chosen = [sides[side] for side in (INPUT, HIDDEN) if wanted in (side, "both")]
            terms = [products(b, row) for products, _ in chosen]
            terms += [load(tensors[bias], row) for _, bias in chosen if bias in tensors]
            return sum(terms[1:], terms[0])

        return value

    return [slot_of(gate, wanted) for gate, wanted in cell.slots]


def _products(x: te.Tensor, weight: te.Tensor, shape: tuple[int, int], acc: str, name: str) -> te.Tensor:
    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        b, row = index
        return load(x, b, *ks) * load(weight, row, *ks)

    return fold_terms("sum", shape, [int(weight.shape[1])], term, acc, name, "gemm")


def _refuse(view: OpView) -> str | None:
    ranks = {len(t.shape) for r, t in view.operands.items() if not r.startswith("b_")}
    if ranks != {2}:
        return f"{view.op} takes a batch of inputs: two dimensions"
    return refuse_dtypes(*FLOATS)(view)


def _cost(view: OpView) -> Cost:
    """Two products and about ten operations per unit."""
    batch, hidden = view.outputs[0].shape
    products = 2.0 * batch * (view.operands["w_ih"].numel + view.operands["w_hh"].numel)
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(products + 10.0 * batch * hidden, float(moved))


ENTRIES: tuple[OpEntry, ...] = tuple(
    OpEntry(
        f"{name}_cell",
        ("input", "hx*" if cell.memory else "hx", "w_ih", "w_hh", "b_ih?", "b_hh?"),
        aten(f"{name}_cell"),
        traits=frozenset({Trait.OPAQUE}),
        te=Te(_step, _refuse),
        cost=_cost,
    )
    for name, cell in CELLS.items()
)
