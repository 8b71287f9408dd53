"""Cases of sampling: every interpolation and padding, places past the border, ties, NaN and infinite places."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _sampled(
    x: Shape, places: Shape, mode: int, padding: int, align: bool, fill: str = "normal", dtype: str = "float32"
) -> OpCase:
    grid = (x[0], *places, len(places))
    attrs = {"interpolation_mode": mode, "padding_mode": padding, "align_corners": align}
    args = (Arg("input", x, dtype), Arg("grid", grid, dtype, fill))
    return OpCase("grid_sampler", args, attrs, tolerance=1e-5)


def _affine(batch: int, size: Shape, align: bool, dtype: str = "float32") -> OpCase:
    spatial = len(size) - 2
    theta = (Arg("theta", (batch, spatial, spatial + 1), dtype),)
    return OpCase("affine_grid_generator", theta, {"size": size, "align_corners": align})


CASES: tuple[OpCase, ...] = (
    *(
        _sampled((2, 3, 5, 7), (4, 6), mode, padding, align, fill)
        for mode in (0, 1, 2)
        for padding in (0, 1, 2)
        for align in (False, True)
        for fill in ("normal", "special")
    ),
    *(
        _sampled((2, 2, 3, 4, 5), (2, 3, 4), mode, padding, align, fill)
        for mode in (0, 1)
        for padding in (0, 1, 2)
        for align in (False, True)
        for fill in ("normal", "special")
    ),
    _sampled((1, 2, 1, 1), (3, 3), 0, 2, True),
    _sampled((1, 2, 1, 4), (3, 16), 2, 2, True),
    _sampled((1, 2, 6, 8), (3, 16), 0, 0, False, dtype="float64"),
    _sampled((1, 1, 6, 8), (0, 16), 0, 0, False),
    _affine(2, (2, 3, 5, 7), False),
    _affine(2, (2, 3, 5, 7), True),
    _affine(1, (1, 1, 1, 4), False),
    _affine(2, (2, 1, 3, 4, 5), False),
    _affine(2, (2, 1, 3, 4, 5), True, "float64"),
    _affine(0, (0, 1, 3, 4), True),
)

REFUSED: tuple[OpCase, ...] = (_sampled((2, 3, 5, 7), (4, 6), 0, 0, True, dtype="float16"),)
