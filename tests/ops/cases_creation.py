"""Cases of tensors shaped like an operand; the others have no operand and are folded."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_EXTRA: dict[str, dict[str, Any]] = {
    "zeros_like": {},
    "ones_like": {},
    "empty_like": {},
    "full_like": {"fill_value": 2.5},
    "new_zeros": {"size": (2, 3)},
    "new_ones": {"size": ()},
    "new_full": {"size": (4,), "fill_value": -1.5},
}

CASES: tuple[OpCase, ...] = tuple(
    OpCase(name, (Arg("self", shape, dtype),), {**extra, "dtype": wanted})
    for name, extra in _EXTRA.items()
    for shape, dtype, wanted in (
        ((2, 3), "float32", None),
        ((), "bfloat16", None),
        ((0, 2), "float32", "float64"),
        ((3,), "int64", "float16"),
    )
)
