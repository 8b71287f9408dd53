"""Cases of fractional pooling: overlapping windows, one output, no batch axis, NaN, samples near 0 and 1."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _fractional(x: Shape, kernel: Shape, to: Shape, fill: str = "normal", dtype: str = "float32") -> OpCase:
    spatial = len(kernel)
    lead = x[:-spatial] if len(x) == spatial + 2 else (1, x[0])
    args = (Arg("self", x, dtype, fill), Arg("random_samples", (*lead, spatial), dtype, "fraction"))
    attrs = {"kernel_size": kernel, "output_size": to}
    return OpCase(f"fractional_max_pool{spatial}d", args, attrs, outputs=2, tolerance=0.0)


CASES: tuple[OpCase, ...] = (
    _fractional((2, 3, 9, 11), (2, 3), (5, 4)),
    _fractional((2, 3, 9, 11), (3, 2), (7, 10)),
    _fractional((3, 9, 8), (2, 2), (4, 5), dtype="float64"),
    _fractional((1, 2, 9, 9), (2, 2), (1, 7), fill="special"),
    _fractional((1, 2, 5, 5), (5, 5), (1, 1)),
    _fractional((0, 2, 9, 8), (2, 2), (4, 4)),
    _fractional((2, 3, 5, 6, 7), (2, 3, 2), (3, 2, 4)),
    _fractional((2, 5, 6, 7), (2, 2, 2), (3, 1, 5)),
    _fractional((1, 1, 6, 6, 6), (3, 3, 3), (2, 3, 3), fill="special"),
    _fractional((0, 2, 6, 6, 6), (3, 3, 3), (2, 3, 3)),
)

REFUSED: tuple[OpCase, ...] = (_fractional((2, 3, 9, 11), (2, 3), (5, 4), dtype="float16"),)
