"""Cases of writing into a copy along an axis: repeated and negative axes, index shapes smaller than the operands,
long rows (vectors, parallel strips), 0-d, empty, and every way to fold."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _pick(role: str, shape: tuple[int, ...], high: int, dtype: str = "int64", fill: str = "index") -> Arg:
    return Arg(role, shape, dtype, fill, high)


def _scatter(
    op: str,
    shape: tuple[int, ...],
    index: tuple[int, ...],
    src: tuple[int, ...] | None,
    attrs: dict[str, Any],
    dtype: str = "float32",
    fill: str = "normal",
) -> OpCase:
    dim = attrs["dim"] % max(len(shape), 1)
    high = shape[dim] if shape else 1
    args = [Arg("self", shape, dtype, fill), _pick("index", index, high)]
    if src is not None:
        args.append(Arg("src", src, dtype, fill))
    return OpCase(op, tuple(args), attrs)


def _rows(op: str, shape: tuple[int, ...], count: int, dim: int, dtype: str = "float32", **attrs: Any) -> OpCase:
    source = (*shape[: dim % len(shape)], count, *shape[dim % len(shape) + 1 :])
    args = (Arg("self", shape, dtype), _pick("index", (count,), shape[dim]), Arg("source", source, dtype))
    return OpCase(op, args, {"dim": dim, **attrs})


CASES: tuple[OpCase, ...] = (
    _scatter("scatter", (4, 5), (3, 5), (3, 5), {"dim": 0}),
    _scatter("scatter", (4, 5, 3), (4, 2, 3), (4, 6, 3), {"dim": -2}, "bfloat16"),
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 1, "value": 3.5}),
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 1, "value": 3.5}, "bfloat16"),
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 1, "value": True}, "bool"),
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 0, "value": -7}, "int16"),
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 0, "value": 0.0, "reduce": "multiply"}, fill="special"),
    _scatter("scatter", (4, 5), (2, 3), (2, 3), {"dim": 1, "reduce": "add"}, "int64"),
    _scatter("scatter", (), (), (), {"dim": 0}),
    _scatter("scatter", (5,), (), (), {"dim": 0}),
    _scatter("scatter", (4, 5), (0, 5), (3, 5), {"dim": 0}),
    _scatter("scatter_add", (4, 5), (6, 5), (6, 5), {"dim": 0}),
    _scatter("scatter_add", (4, 5), (3, 7), (4, 7), {"dim": -1}, "float16"),
    _scatter("scatter_add", (4, 5), (4, 9), (4, 9), {"dim": 1}, "bool"),
    _scatter("scatter_add", (100, 700), (90, 700), (90, 700), {"dim": 0}),
    _scatter("scatter_add", (70, 300), (70, 500), (70, 500), {"dim": 1}, "uint8"),
    _scatter("scatter_add", (), (), (), {"dim": -1}),
    _scatter("scatter_add", (4, 5), (4, 0), (4, 0), {"dim": 1}),
    *(
        _scatter("scatter_reduce", (4, 5), (7, 5), (7, 5), {"dim": 0, "reduce": r, "include_self": keep}, dtype, fill)
        for r in _REDUCTIONS
        for keep in (True, False)
        for dtype, fill in (("float32", "normal"), ("int32", "normal"), ("float32", "special"))
    ),
    _scatter("scatter_reduce", (3, 40), (3, 9), (3, 9), {"dim": 1, "reduce": "mean"}, "bfloat16"),
    _scatter("scatter_reduce", (3, 4), (3, 9), (3, 9), {"dim": 1, "reduce": "amax", "include_self": False}, "bool"),
    _scatter("scatter_reduce", (3, 4), (3, 9), (3, 9), {"dim": 1, "reduce": "mean", "include_self": False}, "uint8"),
    _scatter("scatter_reduce", (), (), (), {"dim": 0, "reduce": "sum"}),
    _rows("index_add", (6, 8), 9, 0),
    _rows("index_add", (6, 8), 9, 1, alpha=2.5),
    _rows("index_add", (6, 8, 5), 4, -2, "float16"),
    _rows("index_add", (6, 8), 3, 0, "int8", alpha=-2),
    _rows("index_add", (6, 8), 3, 0, "bool"),
    _rows("index_add", (50, 1024), 80, 0),
    _rows("index_add", (4, 3, 5000), 3, 1),
    _rows("index_add", (10, 8, 700), 9, 0),
    _rows("index_add", (10, 700, 8), 9, 0),
    _rows("index_add", (10, 1000), 70, 0),
    _rows("index_add", (6, 8), 0, 0),
    OpCase("index_add", (Arg("self", ()), _pick("index", (1,), 1), Arg("source", ())), {"dim": 0}),
    _rows("index_copy", (6, 8), 5, 0),
    _rows("index_copy", (6, 37), 5, 0, "bfloat16"),
    _rows("index_copy", (6, 8, 20), 3, 1, "bool"),
    OpCase("index_copy", (Arg("self", (4,)), _pick("index", (), 4), Arg("source", ())), {"dim": 0}),
    _rows("index_copy", (6, 8), 0, 1),
    OpCase("index_fill", (Arg("self", (6, 40)), _pick("index", (3,), 6, fill="normal")), {"dim": 0, "value": 2.5}),
    OpCase("index_fill", (Arg("self", (6, 40), "bfloat16"), _pick("index", (3,), 6)), {"dim": 0, "value": 2.5}),
    OpCase(
        "index_fill", (Arg("self", (6, 4), "int64"), _pick("index", (3,), 4), Arg("value", (), "int64")), {"dim": 1}
    ),
    OpCase("index_fill", (Arg("self", (6, 4)), _pick("index", (3,), 4), Arg("value", (), "int64")), {"dim": -1}),
    OpCase("index_fill", (Arg("self", ()), _pick("index", (1,), 1)), {"dim": 0, "value": 1}),
    *(
        _rows("index_reduce", (5, 20), 7, 0, dtype, reduce=r, include_self=keep)
        for r in _REDUCTIONS[1:]
        for keep in (True, False)
        for dtype in ("float32", "int64")
    ),
    _rows("index_reduce", (5, 20), 0, 0, reduce="amax"),
)

REFUSED: tuple[OpCase, ...] = (
    _scatter("scatter", (4, 5), (2, 3), None, {"dim": 1, "value": 300}, "uint8"),
    OpCase("index_fill", (Arg("self", (6, 4), "int32"), _pick("index", (3,), 4)), {"dim": 1, "value": 2.5e10}),
)
