"""Cases of distances: every kind of order, batches, both ways to Euclid's, coordinates that are not finite, none."""

from __future__ import annotations

from math import inf
from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _pair(
    op: str, a: Shape, b: Shape, dtype: str = "float32", fill: str = "normal", other: str = "", **attrs: Any
) -> OpCase:
    tolerance = attrs.pop("tolerance", 1e-5)
    args = (Arg("x1", a, dtype, fill), Arg("x2", b, other or dtype, fill))
    return OpCase(op, args, attrs, tolerance=tolerance)


def _pdist(shape: Shape, dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    return OpCase("pdist", (Arg("self", shape, dtype, fill),), attrs)


CASES: tuple[OpCase, ...] = (
    *(_pair("cdist", (4, 7), (5, 7), p=p) for p in (0.0, 0.5, 1.0, 2.0, 3.0, inf)),
    *(_pair("cdist", (15, 5), (3, 5), fill="special", p=p) for p in (0.0, 1.0, 1.5, 2.0, inf)),
    *(_pair("cdist", (4, 7), (5, 7), compute_mode=mode) for mode in (0, 1, 2)),
    _pair("cdist", (40, 24), (33, 24)),
    _pair("cdist", (30, 3), (4, 3), fill="special"),
    _pair("cdist", (2, 1, 30, 8), (3, 6, 8)),
    _pair("cdist", (2, 4, 7), (1, 5, 7), p=1.0),
    _pair("cdist", (0, 7), (5, 7)),
    _pair("cdist", (4, 0), (5, 0)),
    _pair("cdist", (4, 0), (5, 0), p=inf),
    _pair("cdist", (4, 20), (5, 20), "float64", tolerance=1e-12),
    *(_pdist((6, 5), p=p) for p in (0.0, 1.0, 1.5, 2.0, inf)),
    _pdist((5, 7), fill="special", p=inf),
    _pdist((5, 7), fill="special", p=0.0),
    _pdist((40, 16)),
    _pdist((1, 5)),
    _pdist((0, 5)),
    _pdist((4, 0)),
    _pdist((4, 3), "float64"),
    *(_pair("pairwise_distance", (4, 7), (4, 7), p=p) for p in (0.0, 0.5, 1.0, 2.0, inf, -inf, -1.0)),
    _pair("pairwise_distance", (4, 32), (32,), keepdim=True, eps=0.01),
    _pair("pairwise_distance", (2, 1, 7), (3, 7), fill="special"),
    _pair("pairwise_distance", (7,), (7,)),
    _pair("pairwise_distance", (3, 0), (3, 0)),
    _pair("pairwise_distance", (3, 6), (3, 6), "int64"),
    _pair("pairwise_distance", (3, 6), (3, 6), "int32", other="float32"),
    _pair("pairwise_distance", (3, 6), (3, 6), "float16", tolerance=4e-3),
    _pair("pairwise_distance", (3, 6), (3, 6), "bfloat16", tolerance=1.6e-2),
    _pair("cosine_similarity", (4, 7), (4, 7)),
    _pair("cosine_similarity", (4, 32), (32,), dim=-1),
    _pair("cosine_similarity", (2, 5, 3), (2, 5, 3)),
    _pair("cosine_similarity", (2, 1, 3), (5, 3), dim=0),
    _pair("cosine_similarity", (7, 5), (7, 5), fill="special", eps=0.1),
    _pair("cosine_similarity", (3, 0), (3, 0)),
    _pair("cosine_similarity", (), (), dim=0),
    _pair("cosine_similarity", (3, 6), (3, 6), "int64", other="float32"),
    _pair("cosine_similarity", (3, 6), (3, 6), "bfloat16", tolerance=1.6e-2),
    _pair("cosine_similarity", (3, 6), (3, 6), "float64", tolerance=1e-12),
)

REFUSED: tuple[OpCase, ...] = (
    _pair("cdist", (4, 3), (4, 3), "float16"),
    _pdist((4, 3), "bfloat16"),
    _pair("pairwise_distance", (3, 6), (3, 6), "int32", other="bfloat16"),
    _pair("cosine_similarity", (3, 6), (3, 6), "int32", other="float16"),
)
