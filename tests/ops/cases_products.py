"""Cases of products without a matrix product behind them, and of diagonals."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _pair(op: str, roles: str, a: Shape, b: Shape, dtype: str = "float32", other: str = "", **attrs: Any) -> OpCase:
    first, second = roles.split()
    fill = attrs.pop("fill", "normal")
    return OpCase(op, (Arg(first, a, dtype, fill), Arg(second, b, other or dtype, fill)), attrs)


def _addr(self: Shape, a: int, b: int, dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    return OpCase("addr", (Arg("self", self, dtype, fill), Arg("vec1", (a,), dtype), Arg("vec2", (b,), dtype)), attrs)


def _one(op: str, shape: Shape, dtype: str = "float32", **attrs: Any) -> OpCase:
    return OpCase(op, (Arg("self", shape, dtype),), attrs)


def _embed(shape: Shape, offset: int = 0, dim1: int = -2, dim2: int = -1, dtype: str = "float32") -> OpCase:
    return _one("diag_embed", shape, dtype, offset=offset, dim1=dim1, dim2=dim2)


CASES: tuple[OpCase, ...] = (
    _pair("outer", "self vec2", (4,), (7,)),
    _pair("outer", "self vec2", (9,), (9,), fill="special"),
    _pair("outer", "self vec2", (4,), (0,)),
    _pair("outer", "self vec2", (1,), (3,)),
    _pair("outer", "self vec2", (4,), (3,), "bool"),
    _pair("outer", "self vec2", (4,), (3,), "int64", "float32"),
    _pair("outer", "self vec2", (4,), (3,), "bfloat16"),
    _pair("kron", "self other", (2, 3), (4, 5)),
    _pair("kron", "self other", (3,), (4, 5)),
    _pair("kron", "self other", (2, 3, 4), (5,)),
    _pair("kron", "self other", (), (3,)),
    _pair("kron", "self other", (0, 2), (3, 2)),
    _pair("kron", "self other", (2, 2), (2, 2), "int32"),
    _pair("kron", "self other", (2, 2), (3, 2), "int32", "float16"),
    _addr((3, 4), 3, 4),
    _addr((4,), 3, 4, beta=0.5, alpha=2),
    _addr((1, 1), 3, 4, alpha=0.25),
    _addr((3, 4), 3, 4, fill="special", beta=0),
    _addr((3, 4), 3, 4, fill="special", beta=2),
    _addr((3, 0), 3, 0),
    _addr((3, 4), 3, 4, "int64", beta=2, alpha=3),
    _addr((3, 4), 3, 4, "bool"),
    _addr((3, 4), 3, 4, "float16", beta=0.5),
    _pair("linalg_cross", "self other", (5, 3), (5, 3)),
    _pair("linalg_cross", "self other", (3, 4), (3, 4), dim=0),
    _pair("linalg_cross", "self other", (1, 3, 4), (5, 3, 1), dim=-2),
    _pair("linalg_cross", "self other", (7, 3), (7, 3), fill="special"),
    _pair("linalg_cross", "self other", (0, 3), (0, 3)),
    _pair("linalg_cross", "self other", (2, 3), (2, 3), "int32"),
    _pair("linalg_cross", "self other", (2, 3), (2, 3), "float16"),
    _pair("linalg_vecdot", "x y", (5, 16), (5, 16)),
    _pair("linalg_vecdot", "x y", (5, 7), (5, 7), dim=0),
    _pair("linalg_vecdot", "x y", (2, 1, 7), (5, 7)),
    _pair("linalg_vecdot", "x y", (3, 0), (3, 0)),
    _pair("linalg_vecdot", "x y", (9,), (9,), fill="special"),
    _pair("linalg_vecdot", "x y", (4, 9), (4, 9), "bfloat16"),
    _one("trace", (4, 4)),
    _one("trace", (4, 7)),
    _one("trace", (7, 1)),
    _one("trace", (0, 3)),
    _one("trace", (3, 3), "int32"),
    _one("trace", (3, 3), "float16"),
    _embed((3,)),
    _embed((2, 3), 1),
    _embed((2, 3), -2),
    _embed((2, 3), 1, 2, 0),
    _embed((2, 3), -1, 0, 2),
    _embed((2, 0)),
    _embed((0,), 2),
    _embed((2, 3), 1, dtype="bool"),
    _embed((2, 3), 1, dtype="bfloat16"),
    _embed((2, 3), 0, dtype="int64"),
)

REFUSED: tuple[OpCase, ...] = (
    _one("trace", (2, 2), "complex64"),
    _pair("outer", "self vec2", (2,), (2,), "complex64"),
)
