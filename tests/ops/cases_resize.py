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
)

REFUSED: tuple[OpCase, ...] = (
    OpCase(
        "upsample_bilinear2d",
        (Arg("input", (1, 2, 3, 4), "uint8"),),
        {"output_size": (6, 12), "scale_factors": None, "align_corners": False},
    ),
)
