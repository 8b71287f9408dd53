"""Cases of grouped products: empty groups, rows behind the last end, ends in any order (a row counts those passed)."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _grouped(
    rows: int, depth: int, groups: int, columns: int, dtype: str = "float32", high: int = 1, ends: str = "int32",
    tolerance: float = 1e-5, fill: str = "normal",
) -> OpCase:  # fmt: skip
    args = (
        Arg("self", (rows, depth), dtype, fill),
        Arg("mat2", (groups, depth, columns), dtype),
        Arg("offs", (groups,), ends, "index", high),
    )
    return OpCase("_grouped_mm", args, tolerance=tolerance)


CASES: tuple[OpCase, ...] = (
    _grouped(6, 5, 1, 7, high=7),
    _grouped(6, 5, 2, 7, high=1),
    _grouped(33, 20, 5, 48, high=34, ends="int64"),
    _grouped(33, 64, 3, 50, high=60),
    _grouped(9, 4, 3, 3, high=12, fill="special"),
    _grouped(9, 16, 3, 24, "float64", high=12, tolerance=1e-12),
    _grouped(9, 16, 3, 24, "bfloat16", high=12, tolerance=1.6e-2),
    _grouped(9, 16, 3, 24, "float16", high=12, tolerance=4e-3),
    _grouped(0, 5, 3, 7),
    _grouped(4, 0, 1, 7, high=4),
    _grouped(4, 5, 2, 0),
)

REFUSED: tuple[OpCase, ...] = (_grouped(3, 4, 2, 8, "int64"),)
