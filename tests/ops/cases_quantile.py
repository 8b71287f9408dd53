"""Cases of quantiles: one or several, each interpolation, NaN, axes and all of a tensor."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _case(
    op: str, shape: tuple[int, ...], q: float | int, dtype: str = "float32", fill: str = "normal", **attrs: Any
) -> OpCase:
    """A float ``q`` is an attribute, an int the length of a tensor of them."""
    x = Arg("self", shape, dtype, fill)
    if isinstance(q, float):
        return OpCase(op, (x,), {"q": q, **attrs})
    return OpCase(op, (x, Arg("q", (q,), dtype, "bool")), attrs)


def _both(op: str) -> tuple[OpCase, ...]:
    return (
        *(_case(op, (3, 8), 0.3, dim=1, interpolation=m) for m in ("linear", "lower", "higher", "midpoint", "nearest")),
        _case(op, (3, 8), 0.5),
        _case(op, (3, 8), 3, dim=0, keepdim=True),
        _case(op, (2, 40, 3), 0.9, "float64", dim=-2),
        _case(op, (4, 20), 0.7, fill="special", dim=0),
        _case(op, (4, 20), 2, fill="special", dim=1),
        _case(op, (), 0.5),
    )


CASES: tuple[OpCase, ...] = (*_both("quantile"), *_both("nanquantile"))
