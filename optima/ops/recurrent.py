"""Recurrent layers as one op each: the whole sequence, all layers and directions in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_lstm import Direction, run_direction
from optima.ops.te_reduce import FLOATS, Expr, accumulator, convert, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_ROLES = ("w_ih", "w_hh", "b_ih", "b_hh")


def _lstm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """output, h_n, c_n. Each layer reads the one before it; a backward direction runs from the last step."""
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    batch_first = view.attrs["batch_first"]
    x = tensors["input"]
    batch, length = (0, 1) if batch_first else (1, 0)
    length, batch = view.first.shape[length], view.first.shape[batch]
    hidden = view.operands["hx.0"].shape[2]
    hx = [tensors["hx.0"], tensors["hx.1"]]

    def source(t: Expr, b: Expr, k: Expr) -> Expr:
        return load(x, b, t, k) if batch_first else load(x, t, b, k)

    reader: Callable[[Expr, Expr, Expr], Expr] = source
    ways = 2 if view.attrs["bidirectional"] else 1
    features = view.first.shape[2]
    passes: list[tuple[Direction, te.Tensor, te.Tensor]] = []
    for layer in range(view.attrs["num_layers"]):
        for way in range(ways):
            state = layer * ways + way
            direction = Direction(length, batch, features, hidden, acc, state, way == 1)
            passes.append((direction, *run_direction(direction, reader, hx, _weights(view, tensors, state))))
        reader, features = _reader(passes[-ways:]), ways * hidden
    return _results(view, passes, reader)


def _weights(view: OpView, tensors: Tensors, state: int) -> dict[str, te.Tensor]:
    per_pass = 4 if view.attrs["has_biases"] else 2
    first = state * per_pass
    return {role: tensors[f"params.{first + n}"] for n, role in enumerate(_ROLES[:per_pass])}


def _reader(passes: list[tuple[Direction, te.Tensor, te.Tensor]]) -> Callable[[Expr, Expr, Expr], Expr]:
    """``(t, b, k)`` -> the layer's output there: the directions side by side along k."""
    from tvm import tirx

    (forward, ahead, _), *rest = passes

    def source(t: Expr, b: Expr, k: Expr) -> Expr:
        if not rest:
            return ahead(forward.step_after(t), b, k)
        backward, behind, _ = rest[0]
        return tirx.if_then_else(
            k < forward.hidden,
            ahead(forward.step_after(t), b, k),
            behind(backward.step_after(t), b, k - forward.hidden),
        )

    return source


def _results(
    view: OpView,
    passes: list[tuple[Direction, te.Tensor, te.Tensor]],
    last_layer: Callable[[Expr, Expr, Expr], Expr],
) -> list[te.Tensor]:
    from tvm import te, tirx

    out = view.outputs[0]
    acc = accumulator(out.dtype)

    def output(i: Expr, j: Expr, k: Expr) -> Expr:
        t, b = (j, i) if view.attrs["batch_first"] else (i, j)
        return convert(last_layer(t, b, k), acc, out.dtype)

    def of_state(read: Callable[[int, Expr, Expr], Expr]) -> Callable[[Expr, Expr, Expr], Expr]:
        def element(state: Expr, b: Expr, unit: Expr) -> Expr:
            value = read(len(passes) - 1, b, unit)
            for n in reversed(range(len(passes) - 1)):
                value = tirx.if_then_else(state <= n, read(n, b, unit), value)
            return convert(value, acc, out.dtype)

        return element

    length = passes[0][0].length
    return [
        te.compute(out.shape, output, name="output"),
        te.compute(view.outputs[1].shape, of_state(lambda n, b, u: passes[n][1](length, b, u)), name="h_n"),
        te.compute(view.outputs[2].shape, of_state(lambda n, b, u: passes[n][2](b, u)), name="c_n"),
    ]


def _refuse(view: OpView) -> str | None:
    if view.attrs["train"]:
        return "lstm with train=True keeps what only training needs; call model.eval()"
    if len(view.first.shape) != 3:
        return f"lstm takes an input of three dimensions, not {len(view.first.shape)}"
    if len(view.outputs) != 3:
        return f"lstm has three outputs, not {len(view.outputs)}"
    hidden = view.operands["hx.1"].shape[2]
    if view.operands["hx.0"].shape[2] != hidden:
        return "lstm with proj_size has no kernel"
    passes = view.attrs["num_layers"] * (2 if view.attrs["bidirectional"] else 1)
    per_pass = 4 if view.attrs["has_biases"] else 2
    if len(view.members("params")) != passes * per_pass:
        return f"lstm with {len(view.members('params'))} parameters for {passes} passes has no kernel"
    return refuse_dtypes(*FLOATS)(view)


def _cost(view: OpView) -> Cost:
    """Two products per step and pass (input and recurrent weights) and about ten operations per unit."""
    steps = view.first.shape[0] * view.first.shape[1]
    products = sum(2.0 * steps * t.numel for t in view.members("params") if len(t.shape) == 2)
    hidden = view.operands["hx.0"]
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(products + 10.0 * steps * hidden.shape[0] * hidden.shape[2], float(moved))


ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "lstm",
        ("input", "hx*", "params*"),
        aten("lstm.input"),
        attrs={
            "has_biases": REQUIRED,
            "num_layers": REQUIRED,
            "dropout": REQUIRED,
            "train": REQUIRED,
            "bidirectional": REQUIRED,
            "batch_first": REQUIRED,
        },
        traits=frozenset({Trait.OPAQUE}),
        te=Te(_lstm, _refuse),
        cost=_cost,
    ),
)
