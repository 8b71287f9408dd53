"""Cases of tables of rows: embedding, bags of rows (every fold, padding, weights, offsets), one_hot."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_EMBEDDING: dict[str, Any] = {"padding_idx": -1, "scale_grad_by_freq": False, "sparse": False}


def _embedding(rows: int, width: int, shape: tuple[int, ...], kind: str, dtype: str = "float32") -> OpCase:
    args = (Arg("weight", (rows, width), dtype), Arg("indices", shape, kind, "index", rows))
    return OpCase("embedding", args, _EMBEDDING, tolerance=0.0)


def _bag(
    rows: int,
    width: int,
    count: int,
    bags: int,
    mode: int,
    dtype: str = "float32",
    *,
    weighted: bool = False,
    padding_idx: int | None = None,
    include_last_offset: bool = False,
) -> OpCase:
    """All offsets are 0, so that all bags but the last are empty (and none is, with one bag)."""
    args = [Arg("weight", (rows, width), dtype), Arg("indices", (count,), "int64", "index", rows)]
    args.append(Arg("offsets", (bags,), "int64", "index", 1))
    if weighted:
        args.append(Arg("per_sample_weights", (count,), dtype))
    attrs = {"scale_grad_by_freq": False, "mode": mode, "sparse": False}
    attrs |= {"include_last_offset": include_last_offset, "padding_idx": padding_idx}
    return OpCase("embedding_bag", tuple(args), attrs)


CASES: tuple[OpCase, ...] = (
    _embedding(7, 5, (2, 3), "int64"),
    _embedding(7, 5, (4,), "int32", "bfloat16"),
    _embedding(7, 5, (), "int64"),
    _embedding(7, 5, (0,), "int64"),
    *(_bag(7, 20, 9, 3, mode, dtype) for mode in (0, 1, 2) for dtype in ("float32", "bfloat16", "float16")),
    *(_bag(3, 5, 9, 1, mode, padding_idx=1) for mode in (0, 1, 2)),
    _bag(3, 5, 9, 1, 0, padding_idx=-1, weighted=True),
    _bag(50, 300, 200, 1, 0, weighted=True),
    _bag(3, 5, 9, 2, 1, include_last_offset=True),
    _bag(3, 5, 0, 2, 0),
    OpCase("one_hot", (Arg("self", (2, 3), "int64", "index", 4),), {"num_classes": 5}),
    OpCase("one_hot", (Arg("self", (), "int64", "index", 4),), {"num_classes": 4}),
    OpCase("one_hot", (Arg("self", (0,), "int64", "index", 4),), {"num_classes": 4}),
)

REFUSED: tuple[OpCase, ...] = ()
