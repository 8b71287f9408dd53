"""Cases of sorting and selection: any axis, ties as torch leaves them, NaN, both zeros, every dtype, long rows."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _case(
    op: str,
    shape: Shape,
    dtype: str = "float32",
    fill: str = "normal",
    outputs: int = 2,
    high: int = 4,
    **attrs: Any,
) -> OpCase:
    return OpCase(op, (Arg("self", shape, dtype, fill, high),), attrs, outputs, tolerance=0.0)


#: short rows are sorted by insertion alone; 17 and 100 take one and three merges
_SORTS = (
    _case("sort", (3, 5)),
    _case("sort", (3, 17), "int64", dim=1),
    _case("sort", (100, 2), fill="special", dim=0),
    _case("sort", (100, 2), fill="special", dim=0, descending=True),
    _case("sort", (2, 33, 3), "int32", dim=-2, descending=True),
    _case("sort", (2, 40), "bool", descending=True),
    _case("sort", (2, 40), "uint8", high=200),
    _case("sort", (2, 40), "float16", "special"),
    _case("sort", (2, 40), "bfloat16", "special", descending=True),
    _case("sort", (2, 40), "float64", "special"),
    _case("sort", (5000,), "int64", high=1000),
    _case("sort", ()),
    _case("sort", (0, 3), dim=0),
    _case("sort", (3, 1), "int8"),
    _case("argsort", (4, 9), outputs=1),
    _case("argsort", (4, 9), "int64", outputs=1, dim=0, descending=True),
    _case("argsort", (), outputs=1),
    _case("sort", (2, 3, 4, 4), dim=1),
    _case("msort", (20, 3), outputs=1),
    _case("msort", (4, 3), "int64", outputs=1),
    _case("msort", (), outputs=1),
)

#: 1000 elements are partitioned, 10 in short steps; k of at most a 64th is selected with a heap
_SELECTIONS = (
    _case("topk", (4, 10), k=3),
    _case("topk", (4, 10), "int64", k=3),
    _case("topk", (4, 10), "int32", k=10, largest=False),
    _case("topk", (10, 4), "uint8", high=200, k=2, dim=0),
    _case("topk", (2, 1000), "int64", high=50, k=300),
    _case("topk", (2, 1000), "int64", high=50, k=300, sorted=False),
    _case("topk", (2, 1000), "int64", high=50, k=15),
    _case("topk", (2, 1000), fill="special", k=200),
    _case("topk", (2, 1000), fill="special", k=10, largest=False),
    _case("topk", (3, 40), "bfloat16", "special", k=5),
    _case("topk", (3, 40), "float16", k=5),
    _case("topk", (2, 3, 4, 4), k=2, dim=1),
    _case("topk", (), k=1),
    _case("topk", (3, 0), k=0),
    _case("topk", (3, 5), k=0),
    _case("kthvalue", (3, 5), k=2),
    _case("kthvalue", (3, 500), "int64", high=20, k=77),
    _case("kthvalue", (50, 3), fill="special", k=44, dim=0, keepdim=True),
    _case("kthvalue", (2, 3, 4), k=2, dim=1),
    _case("kthvalue", (3, 2), "int32", k=1),
    _case("kthvalue", (), k=1),
    *(case for op in ("median", "nanmedian") for case in (
        _case(op, (3, 5), outputs=1),
        _case(op, (4, 6), "int64", outputs=1),
        _case(op, (), outputs=1),
        _case(op, (0,), outputs=1),
        _case(op, (3, 6), dim=1),
        _case(op, (2, 3, 4), dim=1),
        _case(op, (200, 3), "int64", high=20, dim=0, keepdim=True),
        _case(op, (3, 40), fill="special", dim=1),
        _case(op, (3, 40), "bfloat16", "special", dim=1),
        _case(op, (2, 40), "float64", dim=-1),
    )),
    _case("mode", (3, 9), "int64", dim=0),
    _case("mode", (3, 300), "int64", high=20, keepdim=True),
    _case("mode", (3, 40), "bool"),
    _case("mode", (2, 3, 4), dim=1),
    _case("mode", (3, 8)),
    _case("mode", (3, 8), "float16"),
    _case("mode", ()),
)  # fmt: skip

CASES: tuple[OpCase, ...] = (*_SORTS, *_SELECTIONS)
REFUSED: tuple[OpCase, ...] = (_case("median", (0,), "int64", outputs=1),)
