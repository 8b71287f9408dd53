"""TE building block: variance, standard deviation and mean over chosen axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from optima.ops.entry import OpView
from optima.ops.te_reduce import Expr, const, fold, row_rule

if TYPE_CHECKING:
    from tvm import te


def correction_of(view: OpView) -> float:
    """The degrees of freedom that a spread takes off: ``correction``, or 1 where ``unbiased``."""
    correction = view.attrs.get("correction")
    if correction is None:
        correction = 1 if view.attrs.get("unbiased", True) else 0
    return float(correction)


def spread(
    read: Callable[..., Expr],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    acc: str,
    *,
    correction: float,
    root: bool,
    keepdim: bool,
) -> tuple[te.Tensor, te.Tensor]:
    """(variance or its root, mean) over ``axes`` in two passes: the mean, then the mean square of differences from it.

    Both are of dtype ``acc``. The mean of a row with an infinity is the infinity, as ``mean`` gives it; torch's
    one-pass form makes most of them NaN, depending on the infinity's place. Where no degree of freedom is left
    torch divides by zero: inf, or NaN for 0 / 0.
    """
    from tvm import te, tirx

    count = math.prod(shape[a] for a in axes)
    rule = row_rule(shape, axes)
    total = fold("sum", read, shape, axes, acc, keepdim=True, name="total", rule=rule)

    def mean_at(index: tuple[Expr, ...]) -> Expr:
        place = tuple(0 if d in axes else i for d, i in enumerate(index))
        return total(*place) / const(count, acc) if count else const(math.nan, acc)

    def square(*index: Expr) -> Expr:
        return (read(*index) - mean_at(index)) * (read(*index) - mean_at(index))

    squares = fold("sum", square, shape, axes, acc, keepdim=keepdim, name="squares", rule=rule)
    freedom = max(count - correction, 0)

    def result(value: Expr) -> Expr:
        if freedom == 0:
            return tirx.Select(value > const(0, acc), const(math.inf, acc), const(math.nan, acc))
        variance = value / const(freedom, acc)
        return tirx.sqrt(variance) if root else variance

    def mean(*index: Expr) -> Expr:
        kept = iter(index)
        return mean_at(index if keepdim else tuple(0 if d in axes else next(kept) for d in range(len(shape))))

    spreads = te.compute(squares.shape, lambda *i: result(squares(*i)), name="spread")
    return spreads, te.compute(squares.shape, mean, name="mean")
