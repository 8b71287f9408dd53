"""Cases of running sums, products, extrema and log-sums: any axis, promotion, NaN and infinities, 0-d, empty."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _case(
    op: str,
    shape: tuple[int, ...],
    dim: int,
    dtype: str = "float32",
    fill: str = "normal",
    tolerance: float = 1e-5,
    out: str = "",
) -> OpCase:
    attrs: dict[str, Any] = {"dim": dim, "dtype": out} if out else {"dim": dim}
    return OpCase(op, (Arg("self", shape, dtype, fill),), attrs, tolerance=tolerance)


def _both(op: str) -> tuple[OpCase, ...]:
    return (
        _case(op, (9,), 0),
        _case(op, (3, 5), 1),
        _case(op, (3, 5, 4), 1),
        _case(op, (5, 3), -2),
        _case(op, (3, 1), 1),
        _case(op, (), 0),
        _case(op, (0, 3), 0),
        _case(op, (4, 5), 0, "int32"),
        _case(op, (4, 5), 1, "bool"),
        _case(op, (4, 5), 1, "int64", out="float32"),
        _case(op, (14, 4), 1, fill="special"),
        _case(op, (3, 9), 1, "float16", tolerance=2e-3),
        _case(op, (3, 9), 1, "bfloat16", tolerance=1.6e-2),
        _case(op, (3, 9), 1, "float64", tolerance=1e-12),
        _case(op, (2, 30000), 1, tolerance=1e-6),
    )


def _extrema(op: str, shape: tuple[int, ...], dim: int, dtype: str = "float32", fill: str = "normal") -> OpCase:
    return OpCase(op, (Arg("self", shape, dtype, fill),), {"dim": dim}, outputs=2, tolerance=0.0)


def _running(op: str) -> tuple[OpCase, ...]:
    return (
        _extrema(op, (9,), 0, "int64"),
        _extrema(op, (3, 9, 4), 1, "int32"),
        _extrema(op, (20, 3), -2, fill="special"),
        _extrema(op, (3, 20), 1, "bfloat16", "special"),
        _extrema(op, (3, 20), 1, "float16", "special"),
        _extrema(op, (3, 20), 1, "float64"),
        _extrema(op, (3, 20), 1, "bool"),
        _extrema(op, (3, 20), 1, "uint8"),
        _extrema(op, (), 0),
        _extrema(op, (0, 3), 0),
    )


def _log(
    shape: tuple[int, ...], dim: int, dtype: str = "float32", fill: str = "normal", tolerance: float = 1e-5
) -> OpCase:
    return OpCase("logcumsumexp", (Arg("self", shape, dtype, fill),), {"dim": dim}, tolerance=tolerance)


CASES: tuple[OpCase, ...] = (
    *_both("cumsum"),
    *_both("cumprod"),
    *_running("cummax"),
    *_running("cummin"),
    _log((3, 9), 1),
    _log((3, 9, 4), 1),
    _log((20, 5), 0, fill="special"),
    _log((3, 9), 1, "float64", tolerance=1e-12),
    _log((3, 9), 1, "float16"),
    _log((3, 9), 1, "bfloat16"),
    _log((), 0),
    _log((0, 3), 1),
)
