"""Products that no matrix product is behind: outer, kron, addr, cross, vecdot; and diagonals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import Cost, OpEntry, OpView, Trait, streaming_cost
from optima.ops.indices import axis
from optima.ops.pointwise import read, supported
from optima.ops.reference import aten
from optima.ops.te_reduce import Expr, accumulator, convert, finish, fold, fold_terms, load, row_rule

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_NONE: frozenset[Trait] = frozenset()


def _wide(view: OpView, tensor: te.Tensor, index: tuple[Expr, ...]) -> Expr:
    """``tensor`` at a broadcast index, rounded to the output's dtype, in the dtype to compute in."""
    out = view.outputs[0].dtype
    return em.cast(em.cast(read(tensor, index), out), em.math_dtype(out))


def _outer(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out = view.outputs[0]
    a, b = tensors["self"], tensors["vec2"]

    def at(i: Expr, j: Expr) -> Expr:
        return em.cast(em.multiply(_wide(view, a, (i,)), _wide(view, b, (j,))), out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _kron(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Element ``i`` of each axis is ``self[i // n] * other[i % n]``; the one of lower rank has axes of 1 in front."""
    from tvm import te

    out, b_shape = view.outputs[0], view.operands["other"].shape
    rank = len(out.shape)
    extents = (*[1] * (rank - len(b_shape)), *b_shape)

    def at(*index: Expr) -> Expr:
        first = tuple(i // d for i, d in zip(index, extents, strict=True))
        second = tuple(i % d for i, d in zip(index, extents, strict=True))
        value = em.multiply(_wide(view, tensors["self"], first), _wide(view, tensors["other"], second))
        return em.cast(value, out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _addr(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``beta * self + alpha * outer(vec1, vec2)``; ``self`` is not read when beta is 0. Bools: or, and."""
    from tvm import te

    out = view.outputs[0]
    alpha, beta = (em.constant(view.attrs.get(k, 1), out.dtype) for k in ("alpha", "beta"))

    def at(i: Expr, j: Expr) -> Expr:
        left, right = _wide(view, tensors["vec1"], (i,)), _wide(view, tensors["vec2"], (j,))
        value = em.multiply(em.multiply(alpha, left), right)
        if view.attrs.get("beta", 1):
            value = em.add(em.multiply(beta, _wide(view, tensors["self"], (i, j))), value)
        return em.cast(value, out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _scales_fit(view: OpView) -> str | None:
    for name in ("beta", "alpha"):
        value, dtype = view.attrs.get(name, 1), view.outputs[0].dtype
        if not dtype.startswith(("float", "bfloat")) and int(value) != value:
            return f"{name}={value!r} is a fraction where {dtype} is computed"
    return None


def _cross(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out = view.outputs[0]
    dim = axis(view.attrs.get("dim", -1), len(out.shape))

    def at(*index: Expr) -> Expr:
        def element(role: str, ahead: int) -> Expr:
            place = (index[dim] + ahead) % 3
            return _wide(view, tensors[role], (*index[:dim], place, *index[dim + 1 :]))

        left = em.multiply(element("self", 1), element("other", 2))
        return em.cast(em.subtract(left, em.multiply(element("self", 2), element("other", 1))), out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _vecdot(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    shapes = [t.shape for t in view.operands.values()]
    rank = max(len(s) for s in shapes)
    padded = [(*[1] * (rank - len(s)), *s) for s in shapes]
    shape = tuple(a if b == 1 else b for a, b in zip(*padded, strict=True))
    dim = axis(view.attrs.get("dim", -1), rank)
    a, b = tensors["x"], tensors["y"]

    def term(*index: Expr) -> Expr:
        return _wide(view, a, index) * _wide(view, b, index)

    return [finish(fold("sum", term, shape, (dim,), acc, rule=row_rule(shape, (dim,))), acc, out.dtype)]


def _trace(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The sum of the diagonal, of integers in int64."""
    out, x = view.outputs[0], tensors["self"]
    acc, source = accumulator(out.dtype), view.first.dtype
    extents = [min(view.first.shape)]

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        return convert(load(x, *ks, *ks), source, out.dtype).astype(acc)

    return [finish(fold_terms("sum", (), extents, term, acc, "trace"), acc, out.dtype)]


def _diag_embed(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out, offset = view.outputs[0], view.attrs["offset"]
    rank = len(out.shape)
    first, second = axis(view.attrs["dim1"], rank), axis(view.attrs["dim2"], rank)
    if first > second:
        # The offset counts from dim1 to dim2, whichever comes first.
        first, second, offset = second, first, -offset

    def at(*index: Expr) -> Expr:
        i, j = index[first], index[second]
        rest = [index[d] for d in range(rank) if d not in (first, second)]
        along = i - max(-offset, 0)
        # Clamped, since both sides of a choice are read.
        extent = view.first.shape[-1]
        from tvm import tirx

        place = tirx.max(tirx.min(along, extent - 1), 0)
        value = tensors["self"](*rest, place)
        return em.select(j - i == offset, value, em.literal(0, out.dtype, index))

    return [te.compute(out.shape, at, name=view.op)]


def _dot_cost(view: OpView) -> Cost:
    """A multiplication and an addition per element of the larger operand."""
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(2.0 * max(t.numel for t in view.operands.values()), float(moved))


def _entry(
    name: str, operands: tuple[str, ...], compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any] | None = None, traits: frozenset[Trait] = _NONE,
    refuse: Callable[[OpView], str | None] = lambda view: None, cost: Callable[[OpView], Cost] = streaming_cost,
) -> OpEntry:  # fmt: skip
    return OpEntry(name, operands, aten(name), attrs or {}, traits, supported(compute, refuse), cost=cost)


ENTRIES: tuple[OpEntry, ...] = (
    _entry("outer", ("self", "vec2"), _outer),
    _entry("kron", ("self", "other"), _kron),
    _entry("addr", ("self", "vec1", "vec2"), _addr, {"beta": 1, "alpha": 1}, refuse=_scales_fit),
    _entry("linalg_cross", ("self", "other"), _cross, {"dim": -1}),
    _entry("linalg_vecdot", ("x", "y"), _vecdot, {"dim": -1}, frozenset({Trait.REDUCTION}), cost=_dot_cost),
    _entry("trace", ("self",), _trace, {}, frozenset({Trait.REDUCTION})),
    _entry("diag_embed", ("self",), _diag_embed, {"offset": 0, "dim1": -2, "dim2": -1}, frozenset({Trait.INJECTIVE})),
)
