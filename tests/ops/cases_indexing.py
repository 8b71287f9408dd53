"""Cases of reading by index: negative indices, gaps, broadcasting index tensors, 0-d, empty."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _pick(role: str, shape: tuple[int, ...], high: int, dtype: str = "int64", fill: str = "index") -> Arg:
    return Arg(role, shape, dtype, fill, high)


def _index(shape: tuple[int, ...], *indices: Arg, dtype: str = "float32") -> OpCase:
    return OpCase("index", (Arg("self", shape, dtype), *indices), tolerance=0.0)


_GATHER: dict[str, Any] = {"sparse_grad": False}


CASES: tuple[OpCase, ...] = (
    OpCase("index_select", (Arg("self", (4, 5)), _pick("index", (3,), 4)), {"dim": 0}),
    OpCase("index_select", (Arg("self", (4, 5), "int8"), _pick("index", (6,), 5, "int32")), {"dim": -1}),
    OpCase("index_select", (Arg("self", (4, 5)), _pick("index", (), 5)), {"dim": 1}),
    OpCase("index_select", (Arg("self", ()), _pick("index", (1,), 1)), {"dim": 0}),
    OpCase("gather", (Arg("self", (4, 5)), _pick("index", (4, 2), 5)), {"dim": 1, **_GATHER}),
    OpCase("gather", (Arg("self", (4, 5, 3)), _pick("index", (2, 5, 1), 4)), {"dim": -3, **_GATHER}),
    OpCase("gather", (Arg("self", ()), _pick("index", (), 1)), {"dim": 0, **_GATHER}),
    OpCase("gather", (Arg("self", (4, 5)), _pick("index", (0, 5), 4)), {"dim": 0, **_GATHER}),
    OpCase("gather", (Arg("self", (5,)), _pick("index", (), 5)), {"dim": 0, **_GATHER}),
    *(
        OpCase("take", (Arg("self", shape, dtype), _pick("index", index, 12, kind, "normal")), tolerance=0.0)
        for shape, index, dtype, kind in (
            ((3, 4), (2, 5), "float32", "int64"),
            ((3, 4), (), "bfloat16", "int64"),
            ((12,), (3,), "bool", "int64"),
            ((3, 4), (0,), "float32", "int64"),
        )
    ),
    OpCase("take_along_dim", (Arg("self", (3, 4)), _pick("indices", (3, 2), 4)), {"dim": 1}),
    OpCase("take_along_dim", (Arg("self", (3, 1, 4)), _pick("indices", (1, 5, 2), 4)), {"dim": -1}),
    OpCase("take_along_dim", (Arg("self", (3, 4), "int64"), _pick("indices", (2, 3), 12)), {"dim": None}),
    OpCase("take_along_dim", (Arg("self", (3, 4)), _pick("indices", (0, 4), 3)), {"dim": 0}),
    *(
        OpCase(
            "_unsafe_masked_index",
            (Arg("self", shape, dtype), Arg("mask", mask, "bool"), _pick(f"indices.{d}", (3, 2), 9, fill="normal")),
            {"fill": fill},
            tolerance=0.0,
        )
        for shape, mask, d, dtype, fill in (
            ((4, 5), (3, 2, 5), 0, "float32", 1.5),
            ((4, 5), (4, 3, 2), 1, "int64", -3),
            ((4, 3), (3, 2, 3), 0, "bfloat16", 0.0),
        )
    ),
    OpCase(
        "_unsafe_masked_index",
        (Arg("self", (4, 3)), Arg("mask", (0, 3), "bool"), _pick("indices.0", (0,), 4)),
        {"fill": 0},
    ),
    _index((4, 5, 6), _pick("indices.0", (3,), 4)),
    _index((4, 5, 6), _pick("indices.0", (3,), 4, fill="normal")),
    _index((4, 5, 6), _pick("indices.1", (2, 3), 5)),
    _index((4, 5, 6), _pick("indices.0", (3,), 4), _pick("indices.1", (2, 1), 5)),
    _index((4, 5, 6), _pick("indices.0", (3,), 4), _pick("indices.2", (2, 1), 6)),
    _index((4, 5, 6), _pick("indices.1", (3,), 5), _pick("indices.2", (3,), 6, "int32"), dtype="bfloat16"),
    _index((4, 5), _pick("indices.0", (), 4), dtype="bool"),
    _index((4, 5), _pick("indices.0", (0,), 4)),
    *(
        OpCase(name, (Arg("self", shape, dtype),), {"diagonal": d})
        for name in ("tril", "triu")
        for shape, dtype, d in (
            ((4, 5), "float32", 0),
            ((2, 5, 4), "int64", 1),
            ((5, 5), "bool", -2),
            ((3, 3), "bfloat16", 5),
            ((0, 3), "float32", 0),
        )
    ),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase(
        "_unsafe_masked_index",
        (Arg("self", (0, 3)), Arg("mask", (2, 3), "bool"), _pick("indices.0", (2,), 4)),
        {"fill": 0},
    ),
)
