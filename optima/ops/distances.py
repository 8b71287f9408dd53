"""Distances between vectors: all pairs of two sets or of one, pairs row by row, and the cosine between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.contraction import broadcast_index, product
from optima.ops.entry import Cost, OpEntry, OpView, Trait
from optima.ops.indices import axis
from optima.ops.pointwise import common_dtype, read, supported
from optima.ops.reference import aten
from optima.ops.te_loops import each, nest, sequential, store
from optima.ops.te_loops import read as stored
from optima.ops.te_norm import p_norm
from optima.ops.te_reduce import (
    HALVES,
    Expr,
    Source,
    accumulator,
    const,
    convert,
    finish,
    fold,
    fold_terms,
    is_nan,
    row_rule,
)

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
#: with more vectors than this on a side, torch takes cdist's Euclidean distances from a matrix product
_FEWEST_FOR_PRODUCT = 25


def _difference(a: Expr, b: Expr) -> Expr:
    return em.subtract(a, b)


def _cdist(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """All distances between the rows of ``x1`` and those of ``x2``, batches broadcast.

    As in torch: by a product of matrices where that is how torch does it (faster, and noisy where two vectors
    agree), and the distance of order inf passes over NaN.
    """
    from tvm import te, tirx

    out = view.outputs[0]
    x1, x2 = tensors["x1"], tensors["x2"]
    order, shape, depth = float(view.attrs.get("p", 2.0)), out.shape, int(x1.shape[-1])
    mode = view.attrs.get("compute_mode") or 0
    if depth == 0:
        return [te.compute(shape, lambda *i: const(0.0, out.dtype), name="nothing")]
    if order == 2.0 and (mode == 1 or (mode == 0 and max(shape[-2:]) > _FEWEST_FOR_PRODUCT)):
        return [_by_product(x1, x2, shape, out.dtype)]

    def apart(*index: Expr) -> Expr:
        *lead, i, j, k = index
        left = x1(*broadcast_index(lead, [int(d) for d in x1.shape[:-2]]), i, k)
        value = _difference(left, x2(*broadcast_index(lead, [int(d) for d in x2.shape[:-2]]), j, k))
        if order != math.inf:
            return value
        return tirx.Select(is_nan(value, out.dtype), const(0.0, out.dtype), value)

    return [_between_rows(apart, (*shape, depth), order, out.dtype)]


def _between_rows(apart: Source, shape: Sequence[int], order: float, dtype: str) -> te.Tensor:
    """The norms of differences over the last axis. Order 0 counts what differs, but NaN stays NaN, as in torch."""
    from tvm import tirx

    def differs(*index: Expr) -> Expr:
        value = apart(*index)
        return tirx.Select(is_nan(value, dtype), value, convert(value, dtype, "bool").astype(dtype))

    last = (len(shape) - 1,)
    if order == 0.0:
        return p_norm(differs, shape, last, 1.0, dtype)
    return p_norm(apart, shape, last, order, dtype)


def _by_product(x1: te.Tensor, x2: te.Tensor, shape: Sequence[int], dtype: str) -> te.Tensor:
    """``sqrt(max(0, |a|**2 + |b|**2 - 2 a.b))``."""
    from tvm import te, tirx

    squares = [_squares(x, dtype) for x in (x1, x2)]
    dots = product(x1, x2, shape, dtype, transposed=True)

    def element(*index: Expr) -> Expr:
        *lead, i, j = index
        both = [
            s(*broadcast_index(lead, [int(d) for d in s.shape[:-1]]), k) for s, k in zip(squares, (i, j), strict=True)
        ]
        value = dots(*index) * const(-2.0, dtype) + both[0] + both[1]
        return tirx.sqrt(em.let(value, lambda v: tirx.Select(v < const(0.0, dtype), const(0.0, dtype), v)))

    return te.compute(shape, element, name="distance")


def _squares(x: te.Tensor, dtype: str) -> te.Tensor:
    shape = [int(d) for d in x.shape]
    last = (len(shape) - 1,)
    return fold("sum", lambda *i: x(*i) * x(*i), shape, last, dtype, name="squares", rule=row_rule(shape, last))


def _pdist(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The distances above the diagonal of all those between the rows, row by row."""
    from tvm import te, tirx

    out, x = view.outputs[0], tensors["self"]
    count, depth = view.first.shape
    if depth == 0:
        return [te.compute(out.shape, lambda *i: const(0.0, out.dtype), name="nothing")]

    def apart(i: Expr, j: Expr, k: Expr) -> Expr:
        return _difference(x(i, k), x(j, k))

    square = _between_rows(apart, (count, count, depth), float(view.attrs.get("p", 2.0)), out.dtype)

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Any:
        def pair(i: Expr, j: Expr) -> Any:
            place = i * (2 * count - i - 1) // 2 + j - i - 1
            return tirx.IfThenElse(j > i, store(outs[0], (place,), stored(ins[0], i, j)), None)

        return each(count, lambda i: nest((count,), lambda j: pair(i, j)))

    return sequential(view.op, [square], [(out.shape, out.dtype)], body)


def _shape(view: OpView) -> tuple[int, ...]:
    """The broadcast shape of ``x1`` and ``x2``."""
    a, b = (view.operands[r].shape for r in ("x1", "x2"))
    rank = max(len(a), len(b))
    padded = [(*[1] * (rank - len(s)), *s) for s in (a, b)]
    return tuple(p if q == 1 else q for p, q in zip(*padded, strict=True))


def _value(view: OpView, tensors: Tensors, role: str, index: Sequence[Expr]) -> Expr:
    """An operand at a broadcast index, in the dtype to compute the promoted dtype in."""
    common = common_dtype(view, ("x1", "x2"))
    return em.cast(em.cast(read(tensors[role], index), common), em.math_dtype(common))


def _pairwise_distance(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The norm of ``x1 - x2 + eps`` over the last axis."""
    out, shape = view.outputs[0], _shape(view)
    acc = accumulator(out.dtype)

    def apart(*index: Expr) -> Expr:
        value = _difference(*(_value(view, tensors, role, index) for role in ("x1", "x2")))
        return em.cast(value, acc) + const(view.attrs.get("eps", 1e-6), acc)

    order, last = float(view.attrs.get("p", 2.0)), (len(shape) - 1,) if shape else ()
    keepdim = view.attrs.get("keepdim", False)
    return [finish(p_norm(apart, shape, last, order, acc, keepdim=keepdim), acc, out.dtype)]


def _cosine_similarity(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``sum(x1 / max(|x1|, eps) * x2 / max(|x2|, eps))`` over ``dim``."""
    from tvm import te

    out, shape = view.outputs[0], _shape(view)
    acc = accumulator(out.dtype)
    axes = (axis(view.attrs.get("dim", 1), len(shape)),) if shape else ()
    eps = const(view.attrs.get("eps", 1e-8), acc)

    def unit(role: str) -> Callable[..., Expr]:
        size = p_norm(lambda *i: _value(view, tensors, role, i), shape, axes, 2.0, acc, keepdim=True)
        floor = te.compute(size.shape, lambda *i: em.at_least(size(*i), eps), name="length")

        def element(*index: Expr) -> Expr:
            where = tuple(0 if d in axes else i for d, i in enumerate(index))
            return _value(view, tensors, role, index) / floor(*where)

        return element

    a, b = unit("x1"), unit("x2")
    kept = [d for d in range(len(shape)) if d not in axes]

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        place = dict(zip((*kept, *axes), (*index, *ks), strict=True))
        where = [place[d] for d in range(len(shape))]
        return a(*where) * b(*where)

    value = fold_terms("sum", out.shape, [shape[d] for d in axes], term, acc, "cosine")
    return [finish(value, acc, out.dtype)]


def _floating(*dtypes: str) -> Callable[[OpView], str | None]:
    def refuse(view: OpView) -> str | None:
        out = view.outputs[0].dtype
        given = {t.dtype for t in view.operands.values()}
        if out in HALVES and given != {out}:
            return f"{view.op} has no kernel that brings {' and '.join(sorted(given))} to {out}"
        return None if out in dtypes else f"{view.op} has no kernel that gives {out}"

    return refuse


def _pairs_cost(view: OpView) -> Cost:
    """Three operations per pair and coordinate: subtract, raise, add."""
    depth = view.first.shape[-1]
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(3.0 * view.outputs[0].numel * depth, float(moved))


def _rows_cost(view: OpView) -> Cost:
    """Six operations per coordinate, an upper bound of both: two norms and a product, or a difference's norm."""
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(6.0 * math.prod(_shape(view)), float(moved))


def _entry(
    name: str, operands: tuple[str, ...], compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any], dtypes: tuple[str, ...], cost: Callable[[OpView], Cost], *traits: Trait,
) -> OpEntry:  # fmt: skip
    route = supported(compute, _floating(*dtypes))
    return OpEntry(name, operands, aten(name), attrs, frozenset(traits), route, cost=cost)


#: torch's own kernels of these two take no half types
_WIDE = ("float32", "float64")
_ANY = (*_WIDE, "float16", "bfloat16")

ENTRIES: tuple[OpEntry, ...] = (
    _entry("cdist", ("x1", "x2"), _cdist, {"p": 2.0, "compute_mode": None}, _WIDE, _pairs_cost, Trait.CONTRACTION),
    _entry("pdist", ("self",), _pdist, {"p": 2.0}, _WIDE, _pairs_cost, Trait.OPAQUE),
    _entry(
        "pairwise_distance", ("x1", "x2"), _pairwise_distance, {"p": 2.0, "eps": 1e-6, "keepdim": False}, _ANY,
        _rows_cost, Trait.REDUCTION,
    ),
    _entry(
        "cosine_similarity", ("x1", "x2"), _cosine_similarity, {"dim": 1, "eps": 1e-8}, _ANY, _rows_cost,
        Trait.REDUCTION,
    ),
)  # fmt: skip
