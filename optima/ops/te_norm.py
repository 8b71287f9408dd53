"""The p-norm of anything: a fold of powers and its root."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optima.ops.te_reduce import Expr, Source, const, convert, fold, row_rule

if TYPE_CHECKING:
    from tvm import te


def p_norm(
    source: Source, shape: Sequence[int], axes: Sequence[int], order: float, dtype: str, *, keepdim: bool = False
) -> te.Tensor:
    """``sum(|x| ** order) ** (1 / order)`` of ``source`` (values of ``dtype`` over ``shape``) over ``axes``.

    Orders inf and -inf are the largest and the smallest magnitude, 0 counts what is not zero. NaN gives NaN.
    """
    from tvm import te, tirx

    def power(value: Expr) -> Expr:
        if order == 0.0:
            return convert(value, dtype, "bool").astype(dtype)
        if order == 2.0:
            return value * value
        size = tirx.abs(value)
        return size if order in (1.0, math.inf, -math.inf) else tirx.pow(size, const(order, dtype))

    kind = {math.inf: "max", -math.inf: "min"}.get(order, "sum")
    # Schedules of rows split sums into lanes; they have no such way with extrema.
    rule = row_rule(shape, axes) if kind == "sum" else ""
    folded = fold(kind, lambda *i: power(source(*i)), shape, axes, dtype, keepdim=keepdim, name="folded", rule=rule)
    if order in (0.0, 1.0, math.inf, -math.inf):
        return folded

    def root(*index: Expr) -> Expr:
        total = folded(*index)
        return tirx.sqrt(total) if order == 2.0 else tirx.pow(total, const(1 / order, dtype))

    return te.compute(folded.shape, root, name="norm")
