"""Cases of the softmax family: any axis, dtypes, rows of -inf, +inf and NaN, 0-d and empty tensors."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _case(
    op: str,
    shape: Shape,
    dim: Any,
    dtype: str = "float32",
    fill: str = "normal",
    tolerance: float = 1e-5,
    out: str = "",
    **attrs: Any,
) -> OpCase:
    if out:
        attrs["dtype"] = out
    return OpCase(op, (Arg("self", shape, dtype, fill),), {"dim": dim, **attrs}, tolerance=tolerance)


def _soft(op: str) -> tuple[OpCase, ...]:
    return (
        _case(op, (3, 10), -1),
        _case(op, (2, 3, 4, 37), 3),
        _case(op, (2, 5, 3, 4), 1),
        _case(op, (3, 64), 1),
        _case(op, (7, 48), 1, fill="special"),
        _case(op, (7, 4), 0),
        _case(op, (9,), 0),
        _case(op, (3, 1), 1),
        _case(op, (), 0),
        _case(op, (0, 4), 1),
        _case(op, (4, 14), 0, fill="special"),
        _case(op, (14, 4), 1, fill="special"),
        _case(op, (3, 33), 1, "float64", tolerance=1e-12),
        _case(op, (3, 33), 1, "float16", tolerance=2e-3),
        _case(op, (3, 33), 1, "bfloat16", tolerance=1.6e-2),
        _case(op, (3, 9), 1, "int64", out="float32"),
        _case(op, (3, 9), 1, "float16", out="float32"),
    )


CASES: tuple[OpCase, ...] = (
    *_soft("softmax"),
    *_soft("log_softmax"),
    _case("logsumexp", (3, 10), (1,)),
    _case("logsumexp", (3, 4, 5), (0, -1), keepdim=True),
    _case("logsumexp", (3, 4, 5), (1,), keepdim=True),
    _case("logsumexp", (4, 14), (0,), fill="special"),
    _case("logsumexp", (3, 0), (1,)),
    _case("logsumexp", (), (0,)),
    _case("logsumexp", (7, 64), (1,), fill="special"),
    _case("logsumexp", (3, 6), (1,), "int32"),
    _case("logsumexp", (3, 33), (1,), "bfloat16", tolerance=1.6e-2),
    _case("logsumexp", (3, 33), (1,), "float64", tolerance=1e-12),
)
