"""Cases of searches: rows and values of several ranks, both sides, sorters, NaN, sets, and places of nonzeros."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _sorted(edges: Shape, values: Shape, dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    args = (Arg("sorted_sequence", edges, dtype, fill), Arg("self", values, dtype, fill))
    return OpCase("searchsorted", args, attrs)


def _bucket(values: Shape, edges: Shape, dtype: str = "float32", other: str = "", **attrs: Any) -> OpCase:
    args = (Arg("self", values, dtype, "special"), Arg("boundaries", edges, other or dtype))
    return OpCase("bucketize", args, attrs)


def _isin(elements: Arg, tests: Arg, **attrs: Any) -> OpCase:
    return OpCase("isin", (elements, tests), attrs)


def _places(shape: Shape, size: int, dtype: str = "float32", fill: str = "bool", **attrs: Any) -> OpCase:
    return OpCase("nonzero_static", (Arg("self", shape, dtype, fill),), {"size": size, **attrs})


def _sorter() -> OpCase:
    roles = (Arg("sorted_sequence", (3, 4)), Arg("self", (3, 5)), Arg("sorter", (3, 4), "int64", "index", 4))
    return OpCase("searchsorted", roles, {"right": True})


# Rows need not be in order here: both sides take the same steps through them.
CASES: tuple[OpCase, ...] = (
    _sorted((9,), (3, 5)),
    _sorted((9,), (3, 5), "int64", right=True),
    _sorted((2, 3, 9), (2, 3, 4), side="right", out_int32=True),
    _sorted((9,), (40,), fill="special"),
    _sorted((9,), (40,), "bfloat16", "special", right=True),
    _sorted((9,), ()),
    _sorted((0,), (3,)),
    _sorted((3,), (0,)),
    _sorter(),
    OpCase("searchsorted", (Arg("sorted_sequence", (5,), "int64"),), {"self": 1.5}),
    _bucket((3, 5), (7,)),
    _bucket((3, 5), (7,), right=True, out_int32=True),
    _bucket((), (7,), "float16"),
    _bucket((4,), (7,), "float32", "int64"),
    OpCase("bucketize", (Arg("boundaries", (5,)),), {"self": 1}),
    _isin(Arg("elements", (4, 5), "int64"), Arg("test_elements", (3,), "int64")),
    _isin(Arg("elements", (90,), "int64", high=50), Arg("test_elements", (2, 20), "int32", high=50), invert=True),
    _isin(Arg("elements", (30,), "float32", "special"), Arg("test_elements", (9,), "float32", "special")),
    _isin(Arg("elements", (30,), "float16", "special"), Arg("test_elements", (9,), "int64")),
    _isin(Arg("elements", ()), Arg("test_elements", (0,))),
    _isin(Arg("elements", (4,), "uint8"), Arg("test_elements", (1,), "int8")),
    _places((4, 5), 6),
    _places((4, 5), 30, fill_value=7),
    _places((2, 3, 4), 5, "int64"),
    _places((20,), 25, "bfloat16", "special"),
    _places((20,), 25, "bool"),
    _places((0, 3), 2),
    _places((3,), 0),
)  # fmt: skip
REFUSED: tuple[OpCase, ...] = (OpCase("bucketize", (Arg("boundaries", (5,), "int32"),), {"self": 2**40}),)
