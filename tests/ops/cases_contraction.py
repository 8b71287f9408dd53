"""Cases of the matrix products: every rank combination, broadcasting, dtypes, nothing to sum, odd sizes."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _linear(x: Shape, w: Shape, bias: bool = True, dtype: str = "float32", **kw: Any) -> OpCase:
    args = [Arg("input", x, dtype), Arg("weight", w, dtype)]
    if bias:
        args.append(Arg("bias", w[:-1], dtype))
    return OpCase("linear", tuple(args), **kw)


def _pair(op: str, roles: str, a: Shape, b: Shape, dtype: str = "float32", **kw: Any) -> OpCase:
    first, second = roles.split()
    return OpCase(op, (Arg(first, a, dtype), Arg(second, b, dtype)), **kw)


def _fused(
    op: str, roles: str, shapes: tuple[Shape, ...], dtype: str = "float32", fill: str = "normal", **attrs: Any
) -> OpCase:
    args = tuple(
        Arg(r, s, dtype, fill if r == "self" else "normal") for r, s in zip(roles.split(), shapes, strict=True)
    )
    return OpCase(op, args, {"beta": 1, "alpha": 1, **attrs})


CASES: tuple[OpCase, ...] = (
    _linear((4, 8), (16, 8)),
    _linear((3, 5, 7), (9, 7)),
    _linear((2, 3, 5, 7), (1, 7), bias=False),
    _linear((7,), (9, 7)),
    _linear((7,), (9, 7), bias=False),
    _linear((2, 3, 7), (7,), bias=False),
    _linear((1, 130), (67, 130)),
    _linear((197, 64), (33, 64)),
    _linear((0, 8), (4, 8)),
    _linear((3, 0), (4, 0)),
    _linear((3, 0), (4, 0), bias=False),
    _linear((3, 8), (0, 8)),
    _linear((5, 12), (6, 12), dtype="float64", tolerance=1e-12),
    _linear((5, 96), (6, 96), dtype="float16", tolerance=2e-3),
    _linear((5, 96), (6, 96), dtype="bfloat16", tolerance=1.6e-2),
    _linear((2, 4), (3, 4), bias=False, dtype="int64"),
    OpCase("linear", (Arg("input", (3, 21), fill="special"), Arg("weight", (5, 21)), Arg("bias", (5,)))),
    _pair("matmul", "self other", (6,), (6,)),
    _pair("matmul", "self other", (6,), (6, 5)),
    _pair("matmul", "self other", (5, 6), (6,)),
    _pair("matmul", "self other", (5, 6), (6, 7)),
    _pair("matmul", "self other", (6,), (3, 6, 5)),
    _pair("matmul", "self other", (3, 5, 6), (6,)),
    _pair("matmul", "self other", (2, 1, 5, 6), (3, 6, 4)),
    _pair("matmul", "self other", (5, 6), (2, 3, 6, 4)),
    _pair("matmul", "self other", (1, 2, 3, 5, 6), (4, 1, 3, 6, 2)),
    _pair("matmul", "self other", (3, 0), (0, 4)),
    _pair("matmul", "self other", (0,), (0,)),
    _pair("matmul", "self other", (2, 0, 3), (2, 3, 4)),
    _pair("matmul", "self other", (2, 3, 4, 17), (2, 3, 17, 5), "float16", tolerance=2e-3),
    _pair("matmul", "self other", (2, 40), (40, 3), "bfloat16", tolerance=1.6e-2),
    _pair("matmul", "self other", (3, 4), (4, 5), "int32"),
    _pair("mm", "self mat2", (5, 33), (33, 31)),
    _pair("mm", "self mat2", (5, 3), (3, 2), "int8"),
    _pair("mm", "self mat2", (1, 1), (1, 1), "float64"),
    _pair("bmm", "self mat2", (4, 5, 9), (4, 9, 17)),
    _pair("bmm", "self mat2", (0, 5, 9), (0, 9, 17)),
    _pair("bmm", "self mat2", (2, 3, 0), (2, 0, 4)),
    _pair("mv", "self vec", (5, 19), (19,)),
    _pair("dot", "self tensor", (19,), (19,)),
    _fused("addmm", "self mat1 mat2", ((5,), (4, 3), (3, 5))),
    _fused("addmm", "self mat1 mat2", ((4, 5), (4, 3), (3, 5)), alpha=0.5, beta=2),
    _fused("addmm", "self mat1 mat2", ((4, 1), (4, 3), (3, 5)), fill="special", beta=0),
    _fused("addmm", "self mat1 mat2", ((4, 5), (4, 0), (0, 5))),
    _fused("addmm", "self mat1 mat2", ((4, 5), (4, 3), (3, 5)), dtype="int64", alpha=3, beta=-2),
    _fused("addmv", "self mat vec", ((4,), (4, 3), (3,)), alpha=2),
    _fused("baddbmm", "self batch1 batch2", ((2, 4, 5), (2, 4, 3), (2, 3, 5)), alpha=0.125),
    _fused("baddbmm", "self batch1 batch2", ((1, 5), (2, 4, 3), (2, 3, 5)), beta=0.5),
    _pair("mm", "self mat2", (5, 0), (0, 3)),
    _pair("mv", "self vec", (5, 0), (0,)),
    _pair("mv", "self vec", (5, 6), (6,), "float16", tolerance=2e-3),
    _pair("dot", "self tensor", (0,), (0,)),
    *(_pair("vdot", "self other", (n,), (n,)) for n in (0, 5, 64)),
    _pair("vdot", "self other", (5,), (5,), "int32"),
    _fused("addbmm", "self batch1 batch2", ((4, 5), (2, 4, 3), (2, 3, 5)), alpha=0.5, beta=2),
    _fused("addbmm", "self batch1 batch2", ((5,), (3, 17, 33), (3, 33, 5))),
    _fused("addbmm", "self batch1 batch2", ((1,), (1, 4, 1), (1, 1, 5)), beta=0, fill="special"),
    _fused("addbmm", "self batch1 batch2", ((4, 5), (0, 4, 3), (0, 3, 5))),
    _fused("addbmm", "self batch1 batch2", ((4, 5), (2, 4, 3), (2, 3, 5)), "int64"),
    _fused("addbmm", "self batch1 batch2", ((4, 5), (2, 4, 30), (2, 30, 5)), "float16"),
    _pair("dot", "self tensor", (7,), (7,), "int64"),
    _fused("addmv", "self mat vec", ((4,), (4, 0), (0,))),
    _fused("addmv", "self mat vec", ((1,), (4, 3), (3,)), beta=0, fill="special"),
    _fused("baddbmm", "self batch1 batch2", ((2, 4, 5), (2, 4, 0), (2, 0, 5))),
)
