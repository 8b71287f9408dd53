"""Contractions by axis: einsum, tensordot, inner, bilinear; each a chain of batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.contraction import EINSUM
from optima.ops.onnx.routes import with_onnx
from optima.ops.promotion import dtype_reason
from optima.ops.reference import aten
from optima.ops.te_contract import Label, Term, contract, term_of
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, accumulator, finish, load, refuse_dtypes, refused_by

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
Labels = tuple[Label, ...]
_NUMBERS = refused_by(
    refuse_dtypes(*FLOATS, *INTEGERS), lambda view: dtype_reason(list(view.operands.values()), view.outputs)
)


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result. An ellipsis stands for numbered labels, counted from the right.

    Without ``->`` the result has the ellipsis' axes, then every letter that occurs once, capitals first. The equation
    fits operands of these ``ranks``: the type rule has run.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    spelt = left.split(",")
    hidden = [rank - len(s.replace("...", "")) if "..." in s else 0 for s, rank in zip(spelt, ranks, strict=True)]
    operands = [_labels(s, count) for s, count in zip(spelt, hidden, strict=True)]
    if arrow:
        return operands, _labels(right, max(hidden, default=0))
    letters = left.replace("...", "").replace(",", "")
    once = sorted(x for x in set(letters) if letters.count(x) == 1)
    return operands, (*_labels("...", max(hidden, default=0)), *once)


def _labels(spelt: str, hidden: int) -> Labels:
    """``"...ij"`` with two hidden axes -> ``(2, 1, "i", "j")``."""
    before, dots, after = spelt.partition("...")
    return (*before, *(range(hidden, 0, -1) if dots else ()), *after)


def _extents(operands: Sequence[Labels], shapes: Sequence[Sequence[int]]) -> dict[Label, int]:
    """Extent per label; one of 1 gives way to any other."""
    extents: dict[Label, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        for x, d in zip(labels, shape, strict=True):
            if extents.get(x, 1) == 1:
                extents[x] = d
    return extents


def _labelled(
    view: OpView, tensors: Sequence[te.Tensor], operands: Sequence[Labels], out: Labels, path: Sequence[int] = ()
) -> te.Tensor:
    """The contraction of ``tensors`` under their labels, in the accumulator of the output's dtype."""
    acc = accumulator(view.outputs[0].dtype)
    shapes = [[int(d) for d in t.shape] for t in tensors]
    extents = {**dict.fromkeys(out, 1), **_extents(operands, shapes)}
    terms: list[Term] = [term_of(t, labels, acc) for t, labels in zip(tensors, operands, strict=True)]
    steps = [(path[k], path[k + 1]) for k in range(0, len(path), 2)]
    return contract(terms, out, extents, acc, steps)


def _einsum(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    given = list(tensors.values())
    operands, out = parse(view.attrs["equation"], [len(t.shape) for t in given])
    value = _labelled(view, given, operands, out, view.attrs.get("path") or ())
    return [finish(value, accumulator(view.outputs[0].dtype), view.outputs[0].dtype)]


def _dots(a: int, b: int, pairs: Sequence[tuple[int, int]]) -> tuple[Labels, Labels, Labels]:
    """Labels of two operands of ranks ``a`` and ``b`` whose axis ``pairs`` are summed, and of the result."""
    left: list[Label] = list(range(a))
    right: list[Label] = list(range(a, a + b))
    for i, j in pairs:
        right[j] = left[i]
    kept = [x for k, x in enumerate(left) if k not in [i for i, _ in pairs]]
    kept += [x for k, x in enumerate(right) if k not in [j for _, j in pairs]]
    return tuple(left), tuple(right), tuple(kept)


def _tensordot(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    a, b = (view.operands[r].shape for r in ("self", "other"))
    dims = [[d % len(s) for d in view.attrs[k]] for s, k in ((a, "dims_self"), (b, "dims_other"))]
    left, right, out = _dots(len(a), len(b), list(zip(*dims, strict=True)))
    value = _labelled(view, [tensors["self"], tensors["other"]], [left, right], out)
    return [finish(value, accumulator(view.outputs[0].dtype), view.outputs[0].dtype)]


def _inner(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    a, b = (len(view.operands[r].shape) for r in ("self", "other"))
    left, right, out = _dots(a, b, [(a - 1, b - 1)] if a and b else [])
    value = _labelled(view, [tensors["self"], tensors["other"]], [left, right], out)
    return [finish(value, accumulator(view.outputs[0].dtype), view.outputs[0].dtype)]


def _bilinear(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    lead = tuple(range(len(out.shape) - 1))
    operands: list[Labels] = [(*lead, "i"), ("o", "i", "j"), (*lead, "j")]
    value = _labelled(view, [tensors[r] for r in ("input1", "weight", "input2")], operands, (*lead, "o"))
    bias = tensors.get("bias")
    if bias is not None:
        plain = value

        def biased(*i: Expr) -> Expr:
            return plain(*i) + load(bias, i[-1])

        value = te.compute(out.shape, biased, name="biased")
    return [finish(value, acc, out.dtype)]


def _cost(view: OpView) -> Cost:
    """A multiplication and an addition per combination of labels, pair by pair from the left."""
    shapes = [t.shape for t in view.operands.values()]
    operands, out = parse(view.attrs["equation"], [len(s) for s in shapes])
    extents = _extents(operands, shapes)
    seen, flops = set(operands[0]), 0.0
    for k, labels in enumerate(operands[1:], 1):
        seen |= set(labels)
        flops += 2.0 * math.prod(extents[x] for x in seen)
        later = {x for rest in operands[k + 1 :] for x in rest} | set(out)
        seen &= later
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(flops or float(view.first.numel), float(moved))


def _dot_cost(view: OpView) -> Cost:
    """A multiplication and an addition per output element and summed index."""
    a, b, out = (t.numel for t in (*list(view.operands.values())[:2], view.outputs[0]))
    depth = math.sqrt(a * b / out) if out else 0.0
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(2.0 * out * depth, float(moved))


def _bilinear_cost(view: OpView) -> Cost:
    """``x1 W`` for every output feature, then its product with ``x2``."""
    rows = math.prod(view.outputs[0].shape[:-1])
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(2.0 * rows * view.operands["weight"].numel, float(moved))


def _entry(
    name: str, operands: tuple[str, ...], compute: Callable[[OpView, Tensors], list[te.Tensor]],
    cost: Callable[[OpView], Cost], attrs: Mapping[str, Any] | None = None,
) -> OpEntry:  # fmt: skip
    return OpEntry(
        name, operands, aten(name), attrs or {}, frozenset({Trait.CONTRACTION}), Te(compute, _NUMBERS), cost=cost
    )


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("einsum", ("tensors*",), _einsum, _cost, {"equation": REQUIRED, "path": None}),
        _entry("tensordot", ("self", "other"), _tensordot, _dot_cost, {"dims_self": REQUIRED, "dims_other": REQUIRED}),
        _entry("inner", ("self", "other"), _inner, _dot_cost),
        _entry("bilinear", ("input1", "input2", "weight", "bias?"), _bilinear, _bilinear_cost),
    ),
    EINSUM,
)
