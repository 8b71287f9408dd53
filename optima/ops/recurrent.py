"""Recurrent layers as one op each: the whole sequence, all layers and directions in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.recurrent import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_gates import CELLS, Direction
from optima.ops.te_recurrent import run_direction
from optima.ops.te_reduce import FLOATS, Expr, accumulator, convert, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
#: ``(t, b, k)`` -> an element of a layer's input or output
Reader = Callable[[Expr, Expr, Expr], Expr]
Pass = tuple[Direction, "te.Tensor", "te.Tensor"]


def _layers(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """output, h_n and, for lstm, c_n. Each layer reads the one before it; a backward direction starts at the end."""
    acc = accumulator(view.outputs[0].dtype)
    batch_first = view.attrs["batch_first"]
    x = tensors["input"]
    length, batch = (view.first.shape[d] for d in ((1, 0) if batch_first else (0, 1)))
    states = [r for r in view.operands if r.partition(".")[0] == "hx"]
    hx = [tensors[r] for r in states]
    hidden, width = view.operands[states[-1]].shape[2], view.operands[states[0]].shape[2]

    def source(t: Expr, b: Expr, k: Expr) -> Expr:
        return load(x, b, t, k) if batch_first else load(x, t, b, k)

    reader: Reader = source
    ways = 2 if view.attrs["bidirectional"] else 1
    features = view.first.shape[2]
    passes: list[Pass] = []
    for layer in range(view.attrs["num_layers"]):
        for way in range(ways):
            state = layer * ways + way
            d = Direction(CELLS[view.op], length, batch, features, hidden, width, acc, state, way == 1)
            passes.append((d, *run_direction(d, reader, hx, _weights(view, tensors, state))))
        reader, features = _reader(passes[-ways:]), ways * width
    return _results(view, passes, reader)


def _roles(view: OpView) -> list[str]:
    """The parameters of one pass, in order."""
    widths = [t.shape[2] for r, t in view.operands.items() if r.partition(".")[0] == "hx"]
    biases = ["b_ih", "b_hh"] if view.attrs["has_biases"] else []
    return ["w_ih", "w_hh", *biases, *(["w_hr"] if widths[0] != widths[-1] else [])]


def _weights(view: OpView, tensors: Tensors, state: int) -> dict[str, te.Tensor]:
    roles = _roles(view)
    return {role: tensors[f"params.{state * len(roles) + n}"] for n, role in enumerate(roles)}


def _reader(passes: list[Pass]) -> Reader:
    """``(t, b, k)`` -> the layer's output there: the directions side by side along k."""
    from tvm import tirx

    (forward, ahead, _), *rest = passes

    def source(t: Expr, b: Expr, k: Expr) -> Expr:
        if not rest:
            return ahead(forward.step_after(t), b, k)
        backward, behind, _ = rest[0]
        return tirx.if_then_else(
            k < forward.width,
            ahead(forward.step_after(t), b, k),
            behind(backward.step_after(t), b, k - forward.width),
        )

    return source


def _results(view: OpView, passes: list[Pass], last_layer: Reader) -> list[te.Tensor]:
    from tvm import te, tirx

    out = view.outputs[0]
    acc = accumulator(out.dtype)

    def output(i: Expr, j: Expr, k: Expr) -> Expr:
        t, b = (j, i) if view.attrs["batch_first"] else (i, j)
        return convert(last_layer(t, b, k), acc, out.dtype)

    def of_state(read: Callable[[int, Expr, Expr], Expr]) -> Reader:
        def element(state: Expr, b: Expr, unit: Expr) -> Expr:
            value = read(len(passes) - 1, b, unit)
            for n in reversed(range(len(passes) - 1)):
                value = tirx.if_then_else(state <= n, read(n, b, unit), value)
            return convert(value, acc, out.dtype)

        return element

    length = passes[0][0].length
    readers = [lambda n, b, u: passes[n][1](length, b, u), lambda n, b, u: passes[n][2](b, u)]
    results = [te.compute(out.shape, output, name="output")]
    for kind, reader, name in zip(view.outputs[1:], readers, ("h_n", "c_n"), strict=False):
        results.append(te.compute(kind.shape, of_state(reader), name=name))
    return results


def _refuse(view: OpView) -> str | None:
    if view.attrs["train"]:
        return f"{view.op} with train=True keeps what only training needs; call model.eval()"
    if len(view.first.shape) != 3:
        return f"{view.op} takes an input of three dimensions, not {len(view.first.shape)}"
    expected = 3 if CELLS[view.op].memory else 2
    if len(view.outputs) != expected:
        return f"{view.op} has {expected} outputs, not {len(view.outputs)}"
    passes = view.attrs["num_layers"] * (2 if view.attrs["bidirectional"] else 1)
    if len(view.members("params")) != passes * len(_roles(view)):
        return f"{view.op} with {len(view.members('params'))} parameters for {passes} passes has no kernel"
    return refuse_dtypes(*FLOATS)(view)


def _cost(view: OpView) -> Cost:
    """Two products per step and pass (input and recurrent weights) and about ten operations per unit."""
    steps = view.first.shape[0] * view.first.shape[1]
    products = sum(2.0 * steps * t.numel for t in view.members("params") if len(t.shape) == 2)
    hidden = view.members("hx")[0]
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(products + 10.0 * steps * hidden.shape[0] * hidden.shape[2], float(moved))


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    tuple(
        OpEntry(
            name,
            ("input", "hx*" if cell.memory else "hx", "params*"),
            aten(f"{name}.input"),
            attrs={
                "has_biases": REQUIRED,
                "num_layers": REQUIRED,
                "dropout": REQUIRED,
                "train": REQUIRED,
                "bidirectional": REQUIRED,
                "batch_first": REQUIRED,
            },
            traits=frozenset({Trait.OPAQUE}),
            te=Te(_layers, _refuse),
            cost=_cost,
        )
        for name, cell in CELLS.items()
    ),
    ROUTES,
)
