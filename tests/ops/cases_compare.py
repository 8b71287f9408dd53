"""Cases of comparisons and logic: NaN on both sides, mixed dtypes, scalars, bools, selection by masks."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_LOGICAL = ("logical_and", "logical_or", "logical_xor")
_BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")
_CLASSES = ("isnan", "isinf", "isfinite", "isposinf", "isneginf")


def _comparison(name: str) -> list[OpCase]:
    special = Arg("self", (5, 17), fill="special")
    return [
        OpCase(name, (special, Arg("other", (5, 17), fill="special"))),
        OpCase(name, (special, Arg("other", (17,)))),
        OpCase(name, (Arg("self", (40,), "int64"), Arg("other", (40,), "int32"))),
        OpCase(name, (Arg("self", (40,), "int64"), Arg("other", (40,), "float32", "index"))),
        OpCase(name, (Arg("self", (9,), "bool"), Arg("other", (9,), "bool"))),
        OpCase(name, (Arg("self", (), "float16"), Arg("other", (3,), "bfloat16"))),
        OpCase(name, (special,), {"other": 0.0}),
        OpCase(name, (Arg("self", (20,), "bfloat16"),), {"other": 0.3}),
        OpCase(name, (Arg("self", (20,), "int8"),), {"other": 2}),
        OpCase(name, (Arg("self", (20,), "int64"),), {"other": 1.5}),
        OpCase(name, (Arg("self", (0,)),), {"other": 1}),
    ]


def _logical(name: str) -> list[OpCase]:
    return [
        OpCase(name, (Arg("self", (9,), "bool"), Arg("other", (9,), "bool"))),
        OpCase(name, (Arg("self", (5, 17), fill="special"), Arg("other", (5, 1), "int64"))),
        OpCase(name, (Arg("self", (), "uint8"), Arg("other", (4,), "bool"))),
    ]


def _bitwise(name: str) -> list[OpCase]:
    return [
        OpCase(name, (Arg("self", (3, 9), "bool"), Arg("other", (9,), "bool"))),
        OpCase(name, (Arg("self", (33,), "int64", high=100), Arg("other", (33,), "int8", high=100))),
        OpCase(name, (Arg("self", (), "uint8", high=200), Arg("other", (4,), "uint8", high=200))),
        OpCase(name, (Arg("self", (9,), "int32"),), {"other": 3}),
    ]


_MASK = Arg("condition", (5, 17), "bool")

CASES: tuple[OpCase, ...] = (
    *(c for name in _COMPARISONS for c in _comparison(name)),
    *(c for name in _LOGICAL for c in _logical(name)),
    *(c for name in _BITWISE for c in _bitwise(name)),
    OpCase("logical_not", (Arg("self", (5, 17), fill="special"),)),
    OpCase("logical_not", (Arg("self", (9,), "bool"),)),
    OpCase("logical_not", (Arg("self", (), "int64"),)),
    OpCase("bitwise_not", (Arg("self", (9,), "bool"),)),
    OpCase("bitwise_not", (Arg("self", (20,), "uint8", high=200),)),
    OpCase("bitwise_not", (Arg("self", (), "int64"),)),
    *(
        OpCase(name, (Arg("self", shape, dtype, "special"),))
        for name in _CLASSES
        for shape, dtype in (((5, 17), "float32"), ((9,), "int64"), ((9,), "bfloat16"), ((), "float64"))
    ),
    *(
        OpCase(name, (Arg("self", (5, 17), dtype, "special"),), {"other": float("nan")})
        for name in _COMPARISONS
        for dtype in ("float32", "float16")
    ),
    OpCase("where", (_MASK, Arg("self", (5, 17), fill="special"), Arg("other", (17,), fill="special"))),
    OpCase("where", (Arg("condition", (5, 1), "bool"), Arg("self", ()), Arg("other", (4,), "float64"))),
    OpCase("where", (_MASK, Arg("self", (5, 17), "int64")), {"other": 1.5}),
    OpCase("where", (_MASK, Arg("other", (5, 17))), {"self": float("-inf")}),
    OpCase("where", (_MASK,), {"self": 1, "other": 0}),
    OpCase("where", (Arg("condition", (), "bool"), Arg("self", (), "bfloat16"), Arg("other", (), "bfloat16"))),
    OpCase("where", (_MASK, Arg("self", (1, 17), "bool"), Arg("other", (5, 1), "bool"))),
    OpCase("masked_fill", (Arg("self", (5, 17)), Arg("mask", (17,), "bool")), {"value": float("-inf")}),
    OpCase("masked_fill", (Arg("self", (5,), "int64"), Arg("mask", (), "bool")), {"value": 7}),
    OpCase("masked_fill", (Arg("self", (5, 3), "float16"), Arg("mask", (5, 1), "bool"), Arg("value", (), "float16"))),
    OpCase("masked_fill", (Arg("self", (5,)), Arg("mask", (2, 5), "bool")), {"value": 0}),
    OpCase("masked_fill", (Arg("self", ()), Arg("mask", (), "bool")), {"value": 2.5}),
    OpCase("masked_fill", (Arg("self", (6,), "bool"), Arg("mask", (6,), "bool")), {"value": True}),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase("masked_fill", (Arg("self", (3,), "int8"), Arg("mask", (3,), "bool")), {"value": 1000}),
    OpCase("ne", (Arg("self", (3,), "complex64"), Arg("other", (3,)))),
)
