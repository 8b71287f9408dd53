"""Cases of reductions: axes by number, list, none, empty list; promotion; NaN, infinities, empty folds."""

from __future__ import annotations

import math
from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _case(
    op: str,
    shape: Shape,
    dtype: str = "float32",
    fill: str = "normal",
    outputs: int = 1,
    tolerance: float = 1e-5,
    high: int = 4,
    **attrs: Any,
) -> OpCase:
    return OpCase(op, (Arg("self", shape, dtype, fill, high),), attrs, outputs, tolerance)


def _position(op: str, shape: Shape, dim: int | None, **more: Any) -> OpCase:
    outputs = 1 if op.startswith("arg") or dim is None else 2
    return _case(op, shape, outputs=outputs, dim=dim, **more)


CASES: tuple[OpCase, ...] = (
    _case("sum", (3, 5)),
    _case("sum", (3, 5, 7), dim=(1,)),
    _case("sum", (3, 5, 7), dim=(-1, 0), keepdim=True),
    _case("sum", (2, 3, 4, 5), dim=(2, 3)),
    _case("sum", (3, 5), dim=()),
    _case("sum", (5, 96), dim=(1,)),
    _case("sum", (5, 4, 32), dim=(1,)),
    _case("sum", ()),
    _case("sum", (0, 3), dim=(0,)),
    _case("sum", (3, 0)),
    _case("sum", (0, 3), dim=(1,)),
    _case("sum", (4, 5), dtype="int32"),
    _case("sum", (4, 5), dtype="bool", dim=(0,)),
    _case("sum", (40,), dtype="uint8", high=250, dim=(0,)),
    _case("sum", (4, 5), fill="positive", dim=(0,), dtype="float32"),
    _case("sum", (4, 33), dtype="float16", dim=(1,), tolerance=2e-3),
    _case("sum", (4, 33), dtype="bfloat16", dim=(1,), tolerance=1.6e-2),
    _case("sum", (4, 33), dtype="float64", tolerance=1e-12),
    _case("sum", (3, 14), fill="special", dim=(0,)),
    _case("sum", (100, 101), fill="positive"),
    _case("sum", (2, 9973), fill="positive", dim=(1,)),
    _case("mean", (3, 5)),
    _case("mean", (2, 3, 7, 7), dim=(2, 3), keepdim=True),
    _case("mean", (2, 3, 7), dim=(-2,)),
    _case("mean", (0, 3), dim=(0,)),
    _case("mean", (4, 33), dtype="float16", dim=(1,), tolerance=2e-3),
    _case("mean", (4, 33), dtype="bfloat16", tolerance=1.6e-2),
    _case("mean", (2, 14), fill="special", dim=(0,)),
    _case("prod", (3, 5)),
    _case("prod", (3, 5), dim=1, keepdim=True),
    _case("prod", (0,)),
    _case("prod", (3, 5), dtype="int32", dim=0),
    _case("prod", (3, 2), dtype="bool"),
    _case("amax", (3, 5)),
    _case("amax", (3, 5, 7), dim=(0, 2), keepdim=True),
    _case("amax", (3, 14), fill="special", dim=(0,)),
    _case("amax", (7, 14), fill="special", dim=(1,), dtype="bfloat16"),
    _case("amax", (7, 64), fill="special", dim=(1,)),
    _case("amax", (3, 5), dtype="int64", dim=(1,)),
    _case("amax", (3, 5), dtype="bool", dim=(1,)),
    _case("amin", (3, 5), dim=(-1,)),
    _case("amin", (3, 5), dtype="uint8", dim=()),
    _case("amin", (3, 14), fill="special", dim=(0,), dtype="float64"),
    _position("max", (3, 5), None),
    _position("max", (3, 14), None, fill="special"),
    _position("max", (3, 5, 4), 1),
    _position("max", (3, 5, 4), -1, keepdim=True),
    _position("max", (4, 14), 0, fill="special"),
    _position("max", (4, 6), 1, dtype="int64"),
    _position("max", (4, 6), 1, dtype="bool"),
    _position("max", (4, 6), 0, dtype="float16"),
    _position("max", (), 0),
    _position("min", (3, 5), None, dtype="int32"),
    _position("min", (3, 5, 4), 1, keepdim=True),
    _position("min", (4, 14), 0, fill="special"),
    _position("min", (4, 6), 1, dtype="uint8"),
    _position("argmax", (3, 5), None),
    _position("argmax", (3, 5), None, keepdim=True),
    _position("argmax", (3, 5, 4), 1, keepdim=True),
    _position("argmax", (4, 14), 0, fill="special"),
    _position("argmax", (14, 64), 1, fill="special"),
    _position("argmax", (4, 9), 1, dtype="int64"),
    _position("argmax", (4, 9), 1, dtype="bfloat16"),
    _position("argmin", (4, 9), -1),
    _position("argmin", (4, 14), 0, fill="special", dtype="float64"),
    _position("argmin", (3, 5), None, dtype="int32"),
    _case("any", (3, 5), dtype="bool"),
    _case("any", (3, 5), dtype="bool", dim=1, keepdim=True),
    _case("any", (3, 14), fill="special", dim=(0,)),
    _case("any", (3, 5), dtype="uint8", high=2, dim=0),
    _case("any", (0, 5), dtype="bool", dim=0),
    _case("all", (3, 5), dtype="int64", high=2, dim=(0, 1)),
    _case("all", (3, 5), dtype="bool", dim=()),
    _case("all", (0,), dtype="bool"),
    _case("all", (3, 5), dtype="float32", fill="special", dim=1),
    _case("var", (3, 5)),
    _case("var", (3, 5, 7), dim=(1, 2), unbiased=False),
    _case("var", (3, 5, 7), dim=(0,), correction=2, keepdim=True),
    _case("var", (3, 1), dim=(1,)),
    _case("var", (3, 33), dim=(1,), dtype="float16", tolerance=2e-3),
    _case("var", (3, 14), fill="special", dim=(0,)),
    _case("std", (3, 50), dim=(1,)),
    _case("std", (3, 5), correction=0),
    _case("std", (3, 4), correction=0.5, dim=(1,), dtype="float64", tolerance=1e-12),
    *(
        _case("linalg_vector_norm", (3, 7), dim=(1,), ord=order)
        for order in (0, 1, 2, 3.5, math.inf, -math.inf, -2)
    ),
    _case("linalg_vector_norm", (3, 7), keepdim=True),
    _case("linalg_vector_norm", (3, 14), dim=(0,), fill="special"),
    _case("linalg_vector_norm", (3, 14), dim=(0,), fill="special", ord=math.inf),
    _case("linalg_vector_norm", (3, 14), dim=(0,), fill="special", ord=0),
    _case("linalg_vector_norm", (0,)),
    _case("linalg_vector_norm", (3, 7), dim=(1,), dtype="bfloat16", tolerance=1.6e-2),
    _case("amax", (0, 3), dim=(1,)),
    _case("amin", (), dim=()),
    _position("min", (0, 3), 1),
    _position("argmax", (0, 3), 1),
    _position("argmin", (), None),
    _case("var", (0, 3), dim=(0,)),
    _case("var", (0, 3), dim=(1,)),
    _case("std", (), correction=0),
)
