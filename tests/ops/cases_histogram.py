"""Cases of histograms: given and found edges, values on edges and outside, NaN, one value, none."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _histc(shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal", **attrs: Any) -> OpCase:
    return OpCase("histc", (Arg("self", shape, dtype, fill),), attrs, tolerance=0.0)


CASES: tuple[OpCase, ...] = (
    _histc((40,)),
    _histc((4, 3, 7), bins=7),
    _histc((200,), bins=4, min=0, max=3),
    _histc((200,), fill="index", bins=4, min=0, max=3),
    _histc((200,), fill="index", bins=10, min=-1.5, max=2.25),
    _histc((300,), "float64", bins=13, min=-1, max=1),
    _histc((50,), fill="special", bins=5, min=-1, max=1),
    _histc((1,), bins=3),
    _histc((), bins=3, min=-2, max=2),
    _histc((6,), bins=5, min=3, max=3),
    _histc((0,), bins=5),
    _histc((0, 3), bins=5, min=1, max=2),
)

REFUSED: tuple[OpCase, ...] = (_histc((4,), "bfloat16"),)
