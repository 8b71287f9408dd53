"""Cases of spread with mean, both extrema, sums without NaN and counts: axes, keepdim, empty folds, half types, 0-d."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _case(
    op: str, shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal", outputs: int = 2,
    tolerance: float = 1e-5, **attrs: Any,
) -> OpCase:  # fmt: skip
    return OpCase(op, (Arg("self", shape, dtype, fill),), attrs, outputs, tolerance)


def _one(op: str, shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    return _case(op, shape, dtype, fill, 1, **attrs)


def _spread_cases(name: str) -> list[OpCase]:
    return [
        _case(name, (3, 5)),
        _case(name, (3, 5, 7), dim=(1, 2), unbiased=False),
        _case(name, (3, 5, 7), dim=(0,), correction=2, keepdim=True),
        _case(name, (4, 64), dim=(1,)),
        _case(name, (3, 33), "bfloat16", dim=(1,), tolerance=1.6e-2),
        _case(name, (3, 9), "float64", correction=0.5, tolerance=1e-12),
        _case(name, (0, 3), dim=(0,)),
        _case(name, (3, 1), dim=(1,)),
        _case(name, ()),
    ]


CASES: tuple[OpCase, ...] = (
    *(c for name in ("var_mean", "std_mean") for c in _spread_cases(name)),
    _case("aminmax", (3, 5)),
    _case("aminmax", (3, 14), fill="special", dim=0, keepdim=True),
    _case("aminmax", (4, 6), "int64", dim=-1),
    _case("aminmax", (4, 6), "bool", dim=1),
    _case("aminmax", (4, 6), "float16"),
    _case("aminmax", ()),
    _one("nansum", (3, 14), fill="special", dim=(0,)),
    _one("nansum", (5, 77), fill="special", dim=(1,), keepdim=True),
    _one("nansum", (4, 5), "int32"),
    _one("nansum", (4, 33), "bfloat16"),
    _one("nansum", (0, 3), dim=(0,)),
    _one("nansum", ()),
    _one("count_nonzero", (3, 14), fill="special"),
    _one("count_nonzero", (3, 5, 4), "int64", dim=(0, -1)),
    _one("count_nonzero", (3, 5), "bool", dim=1),
    _one("count_nonzero", (9,), "bfloat16", "special"),
    _one("count_nonzero", (0, 3), dim=0),
    _one("count_nonzero", ()),
)

REFUSED: tuple[OpCase, ...] = (_one("nansum", (3,), "complex64"),)
