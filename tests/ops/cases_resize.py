"""Cases of resampling: up, down, by size, by factor, ratios that are no integer, both corner rules."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_SPATIAL = {1: (7,), 2: (5, 6), 3: (3, 4, 5)}


def _sized(
    name: str, lead: tuple[int, int], size: tuple[int, ...], to: tuple[int, ...], dtype: str, **attrs: Any
) -> OpCase:
    given = {"output_size": to, "scale_factors": None, **attrs}
    return OpCase(name, (Arg("input", (*lead, *size), dtype),), given, tolerance=2e-6)


def _scaled(name: str, size: tuple[int, ...], factors: tuple[float, ...], **attrs: Any) -> OpCase:
    given = {"output_size": None, "scale_factors": factors, **attrs}
    return OpCase(name, (Arg("input", (1, 2, *size)),), given, tolerance=2e-6)


def _both(name: str, size: tuple[int, ...], to: tuple[int, ...], factors: tuple[float, ...], **attrs: Any) -> OpCase:
    given = {"output_size": to, "scale_factors": factors, **attrs}
    return OpCase(name, (Arg("input", (1, 2, *size)),), given, tolerance=2e-6)


def _infinite(name: str, size: tuple[int, ...], to: tuple[int, ...], align: bool) -> OpCase:
    given = {"output_size": to, "scale_factors": None, "align_corners": align}
    return OpCase(name, (Arg("input", (1, 2, *size), "float32", "special"),), given)


def _all(name: str, dims: int, **attrs: Any) -> list[OpCase]:
    size = _SPATIAL[dims]
    return [
        _sized(name, (2, 3), size, tuple(2 * s for s in size), "float32", **attrs),
        _sized(name, (1, 2), size, tuple(3 * s for s in size), "float64", **attrs),
        _sized(name, (1, 2), size, tuple(s + 2 for s in size), "bfloat16", **attrs),
        _sized(name, (1, 1), size, (4, *size[1:]), "float16", **attrs),
        _sized(name, (1, 1), size, (1,) * dims, "float32", **attrs),
        _sized(name, (0, 1), size, (4,) * dims, "float32", **attrs),
        _scaled(name, size, (2.0,) * dims, **attrs),
        _scaled(name, size, (1.7,) * dims, **attrs),
        _scaled(name, size, (0.6,) * dims, **attrs),
    ]


CASES: tuple[OpCase, ...] = (
    *(c for d in (1, 2, 3) for c in _all(f"upsample_nearest{d}d", d)),
    *(c for d in (1, 2, 3) for c in _all(f"_upsample_nearest_exact{d}d", d)),
    # sizes and factors at which a position is a tie that float32 rounds
    _sized("upsample_nearest1d", (1, 2), (41,), (82,), "float64"),
    _sized("_upsample_nearest_exact1d", (1, 2), (2,), (41,), "float32"),
    _sized("_upsample_nearest_exact1d", (1, 2), (4,), (82,), "float32"),
    _sized("_upsample_nearest_exact2d", (1, 2), (2, 4), (41, 82), "float32"),
    _sized("_upsample_nearest_exact2d", (1, 2), (12, 9), (4, 3), "float32"),
    _scaled("upsample_nearest1d", (5,), (2.1,)),
    _scaled("upsample_nearest2d", (2, 5), (1.0, 2.1)),
    _scaled("upsample_nearest3d", (2, 5, 4), (1.0, 2.1, 1.1)),
    _both("upsample_nearest1d", (5,), (7,), (1.6,)),
    _both("_upsample_nearest_exact2d", (5, 3), (7, 2), (1.6, 0.0)),
    _both("upsample_bilinear2d", (5, 3), (7, 2), (1.6, 0.0), align_corners=False),
    _both("upsample_bicubic2d", (5, 3), (7, 2), (0.0, 0.8), align_corners=False),
    OpCase(
        "upsample_nearest2d",
        (Arg("input", (1, 2, 3, 4), "uint8"),),
        {"output_size": (6, 12), "scale_factors": None},
    ),
    *(
        c
        for name, d in (("upsample_linear1d", 1), ("upsample_bilinear2d", 2), ("upsample_trilinear3d", 3))
        for align in (False, True)
        for c in _all(name, d, align_corners=align)
    ),
    *(c for align in (False, True) for c in _all("upsample_bicubic2d", 2, align_corners=align)),
    *(
        _infinite(name, (4, 1), to, align)
        for name in ("upsample_bilinear2d", "upsample_bicubic2d")
        for align in (False, True)
        for to in ((4, 3), (7, 1))
    ),
    *(
        c
        for name in ("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
        for align in (False, True)
        for c in (
            _sized(name, (2, 3), (5, 6), (3, 2), "float32", align_corners=align),
            _sized(name, (1, 2), (5, 6), (10, 9), "float64", align_corners=align),
            _sized(name, (1, 2), (23, 17), (4, 17), "float32", align_corners=align),
            _sized(name, (0, 2), (5, 6), (4, 4), "float32", align_corners=align),
            _scaled(name, (9, 10), (0.3, 0.55), align_corners=align),
            _both(name, (9, 10), (4, 12), (0.5, 1.3), align_corners=align),
        )
    ),
)

REFUSED: tuple[OpCase, ...] = (
    _sized("_upsample_bilinear2d_aa", (1, 2), (5, 6), (3, 1), "float32", align_corners=False),
    _sized("_upsample_bicubic2d_aa", (1, 2), (5, 6), (3, 2), "bfloat16", align_corners=False),
    _both("_upsample_bicubic2d_aa", (5, 6), (3, 9), (0.5, 0.5), align_corners=False),
    OpCase(
        "upsample_bilinear2d",
        (Arg("input", (1, 2, 3, 4), "uint8"),),
        {"output_size": (6, 12), "scale_factors": None, "align_corners": False},
    ),
)
