"""Cases of contractions by axis: diagonals, ellipses, implicit results, broadcasting, chains, nothing to sum."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _einsum(equation: str, *shapes: Shape, dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    args = tuple(Arg(f"tensors.{k}", s, dtype, fill) for k, s in enumerate(shapes))
    tolerance = attrs.pop("tolerance", 1e-5)
    return OpCase("einsum", args, {"equation": equation, **attrs}, tolerance=tolerance)


def _pair(op: str, a: Shape, b: Shape, dtype: str = "float32", **attrs: Any) -> OpCase:
    return OpCase(op, (Arg("self", a, dtype), Arg("other", b, dtype)), attrs)


def _bilinear(x: Shape, y: Shape, out: int, bias: bool = True, dtype: str = "float32") -> OpCase:
    args = [Arg("input1", x, dtype), Arg("input2", y, dtype), Arg("weight", (out, x[-1], y[-1]), dtype)]
    if bias:
        args.append(Arg("bias", (out,), dtype))
    return OpCase("bilinear", tuple(args))


CASES: tuple[OpCase, ...] = (
    _einsum("ij->ji", (3, 5)),
    _einsum("ij", (3, 5)),
    _einsum("ba", (3, 5)),
    _einsum("bA", (3, 5)),
    _einsum("ij->", (3, 5)),
    _einsum("ij->i", (3, 5)),
    _einsum("ii->i", (4, 4)),
    _einsum("ii", (4, 4)),
    _einsum("iij->ji", (4, 4, 3)),
    _einsum("...ii->...i", (2, 3, 4, 4)),
    _einsum("i->", (0,)),
    _einsum("->", ()),
    _einsum(",->", (), ()),
    _einsum("i,->i", (4,), ()),
    _einsum("i,j->ij", (4,), (5,)),
    _einsum("i,j->ji", (4,), (5,)),
    _einsum("i,i->", (7,), (7,)),
    _einsum("i,i->i", (7,), (7,)),
    _einsum("ij,jk->ik", (17, 33), (33, 40)),
    _einsum("ij,jk->ki", (17, 33), (33, 40)),
    _einsum("ij,kj->ik", (17, 33), (40, 33)),
    _einsum("ji,jk", (33, 17), (33, 40)),
    _einsum("ij,jk->", (4, 5), (5, 6)),
    _einsum("ij,k->i", (4, 5), (6,)),
    _einsum("bhid,bhjd->bhij", (2, 3, 9, 16), (2, 3, 11, 16)),
    _einsum("bhij,bhjd->bhid", (2, 3, 9, 11), (2, 3, 11, 16)),
    _einsum("bihd,bjhd->bhij", (2, 9, 3, 16), (2, 11, 3, 16)),
    _einsum("bhij,bjhd->bihd", (2, 3, 9, 11), (2, 11, 3, 16)),
    _einsum("bnqd,kd->bnqk", (2, 3, 5, 8), (7, 8)),
    _einsum("bnd,hdk->bnhk", (2, 5, 8), (3, 8, 6)),
    _einsum("bhwc,hkc->bhwk", (2, 4, 5, 8), (4, 6, 8)),
    _einsum("abc,bcd->ad", (4, 5, 6), (5, 6, 7)),
    _einsum("abc,dcb->da", (4, 5, 6), (7, 6, 5)),
    _einsum("b...i,...ij->b...j", (2, 3, 4), (3, 4, 5)),
    _einsum("...ij,...jk", (2, 1, 4, 5), (3, 5, 6)),
    _einsum("...ij,jk->k...i", (2, 4, 5), (5, 6)),
    _einsum("ij...,jk...->ik...", (4, 5, 2), (5, 6, 2)),
    _einsum("ij,jk->ik", (4, 1), (5, 6)),
    _einsum("ij,ij->ij", (4, 1), (1, 6)),
    _einsum("ij,ij->", (4, 1), (4, 6)),
    _einsum("ij,ij->i", (1, 6), (4, 6)),
    _einsum("ii,ij->ij", (4, 4), (4, 6)),
    _einsum("i,ij,j->", (4,), (4, 5), (5,)),
    _einsum("bn,anm,bm->ba", (3, 4), (5, 4, 6), (3, 6)),
    _einsum("ij,jk,kl->il", (4, 5), (5, 6), (6, 7), path=[1, 2, 0, 1]),
    _einsum("ij,kl,jk->il", (4, 5), (6, 7), (5, 6)),
    _einsum("a,b,c,d->dbca", (2,), (3,), (4,), (5,)),
    _einsum(" i j , j k -> i k ", (3, 4), (4, 5)),
    _einsum("ij,jk->ik", (3, 0), (0, 5)),
    _einsum("ij,jk->ik", (0, 4), (4, 5)),
    _einsum("ij,jk->ik", (3, 7), (7, 5), fill="special"),
    _einsum("ij,ij->ij", (7, 3), (7, 3), fill="special"),
    _einsum("ij,jk->ik", (3, 4), (4, 5), dtype="int64"),
    _einsum("ii->", (3, 3), dtype="int32"),
    _einsum("ij,jk->ik", (9, 40), (40, 17), dtype="float64", tolerance=1e-12),
    _einsum("ij,jk->ik", (9, 40), (40, 17), dtype="float16", tolerance=2e-3),
    _einsum("bij,jk->bik", (2, 9, 40), (40, 17), dtype="bfloat16", tolerance=1.6e-2),
    _pair("tensordot", (3, 4, 5), (4, 5, 6), dims_self=[1, 2], dims_other=[0, 1]),
    _pair("tensordot", (3, 4, 5), (5, 6, 3), dims_self=[0, -1], dims_other=[2, 0]),
    _pair("tensordot", (3, 4), (5, 6), dims_self=[], dims_other=[]),
    _pair("tensordot", (1, 4), (4, 5), dims_self=[1], dims_other=[0]),
    _pair("tensordot", (), (), dims_self=[], dims_other=[]),
    _pair("tensordot", (3, 0), (0, 2), dims_self=[1], dims_other=[0]),
    _pair("tensordot", (3, 4), (4, 5), "int64", dims_self=[1], dims_other=[0]),
    _pair("inner", (5,), (5,)),
    _pair("inner", (3, 5), (4, 5)),
    _pair("inner", (2, 3, 5), (4, 5)),
    _pair("inner", (2, 3, 1), (4, 1)),
    _pair("inner", (3, 5), ()),
    _pair("inner", (), ()),
    _pair("inner", (3, 5), (4, 5), "int32"),
    _pair("inner", (3, 0), (4, 0)),
    _bilinear((4, 3), (4, 5), 6),
    _bilinear((2, 4, 3), (2, 4, 5), 6, bias=False),
    _bilinear((3,), (5,), 6),
    _bilinear((0, 3), (0, 5), 6),
    _bilinear((4, 3), (4, 5), 6, dtype="float64"),
)

REFUSED: tuple[OpCase, ...] = (_einsum("ij->ji", (2, 2), dtype="complex64"),)
