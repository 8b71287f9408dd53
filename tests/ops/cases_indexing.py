"""Cases of reading by index: negative indices, gaps, broadcasting index tensors, 0-d, empty."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _pick(role: str, shape: tuple[int, ...], high: int, dtype: str = "int64", fill: str = "index") -> Arg:
    return Arg(role, shape, dtype, fill, high)


def _index(shape: tuple[int, ...], *indices: Arg, dtype: str = "float32") -> OpCase:
    return OpCase("index", (Arg("self", shape, dtype), *indices), tolerance=0.0)


_EMBEDDING: dict[str, Any] = {"padding_idx": -1, "scale_grad_by_freq": False, "sparse": False}
_GATHER: dict[str, Any] = {"sparse_grad": False}


def _embedding(rows: int, width: int, shape: tuple[int, ...], kind: str, dtype: str = "float32") -> OpCase:
    args = (Arg("weight", (rows, width), dtype), _pick("indices", shape, rows, kind))
    return OpCase("embedding", args, _EMBEDDING, tolerance=0.0)


CASES: tuple[OpCase, ...] = (
    _embedding(7, 5, (2, 3), "int64"),
    _embedding(7, 5, (4,), "int32", "bfloat16"),
    _embedding(7, 5, (), "int64"),
    _embedding(7, 5, (0,), "int64"),
    OpCase("index_select", (Arg("self", (4, 5)), _pick("index", (3,), 4)), {"dim": 0}),
    OpCase("index_select", (Arg("self", (4, 5), "int8"), _pick("index", (6,), 5, "int32")), {"dim": -1}),
    OpCase("index_select", (Arg("self", (4, 5)), _pick("index", (), 5)), {"dim": 1}),
    OpCase("index_select", (Arg("self", ()), _pick("index", (1,), 1)), {"dim": 0}),
    OpCase("gather", (Arg("self", (4, 5)), _pick("index", (4, 2), 5)), {"dim": 1, **_GATHER}),
    OpCase("gather", (Arg("self", (4, 5, 3)), _pick("index", (2, 5, 1), 4)), {"dim": -3, **_GATHER}),
    OpCase("gather", (Arg("self", ()), _pick("index", (), 1)), {"dim": 0, **_GATHER}),
    OpCase("gather", (Arg("self", (4, 5)), _pick("index", (0, 5), 4)), {"dim": 0, **_GATHER}),
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
    OpCase("one_hot", (_pick("self", (2, 3), 4),), {"num_classes": 5}),
    OpCase("one_hot", (_pick("self", (), 4),), {"num_classes": 4}),
    OpCase("one_hot", (_pick("self", (0,), 4),), {"num_classes": 4}),
)

REFUSED: tuple[OpCase, ...] = ()
