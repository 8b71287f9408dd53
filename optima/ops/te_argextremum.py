"""TE building block: an extremum over chosen axes together with where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optima.ops.te_reduce import FLOATS, Expr, Source, const, extremum_identity, is_nan

if TYPE_CHECKING:
    from tvm import te


def argextremum(
    kind: str,
    source: Source,
    shape: Sequence[int],
    axes: Sequence[int],
    dtype: str,
    *,
    keepdim: bool = False,
) -> tuple[te.Tensor, te.Tensor]:
    """(values, int64 indices) of the "max" or "min" over ``axes``, counted row-major through them.

    As in torch the first of equal values wins, and the first NaN over everything else. The fold must be run
    in order: the combiner looks at no index.
    """
    from tvm import te, tirx

    start = extremum_identity(dtype, lowest=kind == "max")

    def combine_pairs(a: tuple[Expr, Expr], b: tuple[Expr, Expr]) -> tuple[Expr, Expr]:
        beats = b[1] > a[1] if kind == "max" else b[1] < a[1]
        if dtype in FLOATS:
            beats = tirx.any(beats, tirx.all(is_nan(b[1], dtype), tirx.Not(is_nan(a[1], dtype))))
        return tirx.Select(beats, b[0], a[0]), tirx.Select(beats, b[1], a[1])

    reducer = te.comm_reducer(combine_pairs, lambda i, v: (tirx.const(0, i), const(start, dtype)), name="arg")
    kept = tuple(d for d in range(len(shape)) if d not in axes)
    lead = tuple(1 if d in axes else shape[d] for d in range(len(shape)) if keepdim or d not in axes)
    ks = tuple(te.reduce_axis((0, shape[d]), name=f"r{d}") for d in axes)

    def pair(*index: Expr) -> Expr:
        where: dict[int, Expr] = dict(zip(kept, (index[d] for d in kept) if keepdim else index, strict=True))
        where |= dict(zip(axes, ks, strict=True))
        flat: Expr = tirx.const(0, "int32")
        for axis, k in zip(axes, ks, strict=True):
            flat = flat * shape[axis] + k
        return reducer((flat.astype("int64"), source(*(where[d] for d in range(len(shape))))), axis=ks)

    if not ks:
        zero = te.compute(lead, lambda *i: tirx.const(0, "int64"), name="indices")
        return te.compute(lead, lambda *i: source(*i), name="values"), zero
    indices, values = te.compute(lead, pair, name="arg")
    return values, indices
