"""Cases of rearrangements: negative dimensions, bounds past the ends, steps, 0-d, empty, every storage width."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _on(name: str, shape: tuple[int, ...], attrs: dict[str, Any] | None = None, dtype: str = "float32") -> OpCase:
    return OpCase(name, (Arg("self", shape, dtype),), attrs or {}, tolerance=0.0)


_SAME_ORDER = tuple(
    _on(name, shape, {}, dtype)
    for name in ("alias", "detach", "positive", "clone", "contiguous")
    for shape, dtype in (((3, 17), "float32"), ((), "int64"), ((5,), "bfloat16"), ((0, 2), "float32"))
)

_RESHAPES = (
    _on("reshape", (2, 3, 4), {"shape": (6, 4)}),
    _on("reshape", (2, 3, 4), {"shape": (3, -1)}),
    _on("reshape", (6, 5, 4), {"shape": (4, 5, 6)}, "int64"),
    _on("reshape", (1, 3, 1), {"shape": (3,)}),
    _on("reshape", (3,), {"shape": (1, 3, 1)}, "bool"),
    _on("reshape", (1,), {"shape": ()}),
    _on("reshape", (), {"shape": (1, 1)}, "bfloat16"),
    _on("reshape", (2, 0, 3), {"shape": (0,)}),
    _on("flatten", (2, 3, 4), {"start_dim": 1, "end_dim": -1}),
    _on("flatten", (2, 3, 4), {"start_dim": 0, "end_dim": 1}),
    _on("flatten", (), {"start_dim": 0, "end_dim": -1}),
    _on("unflatten", (2, 12), {"dim": -1, "sizes": (3, 4)}),
    _on("unflatten", (12, 2), {"dim": 0, "sizes": (2, -1)}),
    _on("unflatten", (0, 4), {"dim": 1, "sizes": (2, 2)}),
    _on("unsqueeze", (3, 4), {"dim": -1}),
    _on("unsqueeze", (3, 4), {"dim": 0}),
    _on("unsqueeze", (), {"dim": 0}),
    _on("squeeze", (1, 3, 1), {"dim": None}),
    _on("squeeze", (1, 3, 1), {"dim": -1}),
    _on("squeeze", (1, 3, 1), {"dim": 1}),
    _on("squeeze", (1, 3, 1), {"dim": (0, -1)}),
    _on("squeeze", (1,), {"dim": 0}),
    _on("squeeze", (), {"dim": None}),
)

_STRIDED = (
    _on("transpose", (3, 4, 5), {"dim0": 0, "dim1": -1}),
    _on("transpose", (3, 4), {"dim0": 1, "dim1": 0}, "float16"),
    _on("transpose", (), {"dim0": 0, "dim1": -1}),
    _on("t", (3, 4)),
    _on("t", (3,)),
    _on("t", ()),
    _on("permute", (2, 3, 4), {"dims": (2, 0, 1)}),
    _on("permute", (2, 3, 4, 5), {"dims": (0, -1, 1, 2)}, "int8"),
    _on("permute", (), {"dims": ()}),
    _on("movedim", (2, 3, 4), {"source": 0, "destination": -1}),
    _on("movedim", (2, 3, 4), {"source": (0, 2), "destination": (1, 0)}),
    _on("movedim", (2, 0, 4), {"source": -1, "destination": 0}),
    _on("slice", (9, 4), {"dim": 0, "start": 2, "end": 7, "step": 2}),
    _on("slice", (4, 9), {"dim": -1, "start": -3, "end": 9223372036854775807, "step": 1}),
    _on("slice", (4, 9), {"dim": 1, "start": None, "end": -2, "step": 3}),
    _on("slice", (4, 9), {"dim": 1, "start": -100, "end": 100, "step": 1}, "bool"),
    _on("slice", (4, 9), {"dim": 1, "start": 7, "end": 3, "step": 1}),
    _on("slice", (0, 9), {"dim": 1, "start": 1, "end": 3, "step": 1}),
    _on("narrow", (4, 9), {"dim": 1, "start": 2, "length": 5}),
    _on("narrow", (4, 9), {"dim": -1, "start": -3, "length": 2}),
    _on("narrow", (4, 0), {"dim": 0, "start": 1, "length": 2}),
    _on("select", (4, 9), {"dim": 1, "index": 3}),
    _on("select", (4, 9), {"dim": -2, "index": -1}, "int64"),
    _on("select", (4, 0), {"dim": 0, "index": 0}),
    _on("select", (4,), {"dim": 0, "index": 0}),
    _on("diagonal", (3, 4), {"offset": 0, "dim1": 0, "dim2": 1}),
    _on("diagonal", (2, 3, 4), {"offset": 1, "dim1": -2, "dim2": -1}),
    _on("diagonal", (2, 3, 4), {"offset": -1, "dim1": 2, "dim2": 0}),
    _on("diagonal", (2, 0), {"offset": 0, "dim1": 0, "dim2": 1}),
    _on("unfold", (2, 9), {"dimension": -1, "size": 3, "step": 2}),
    _on("unfold", (9, 2), {"dimension": 0, "size": 4, "step": 1}),
    _on("unfold", (), {"dimension": 0, "size": 1, "step": 1}),
    _on("expand", (3, 1), {"size": (2, 3, 4), "implicit": False}),
    _on("expand", (3, 1), {"size": (-1, 5), "implicit": False}, "bool"),
    _on("expand", (), {"size": (2, 2), "implicit": False}),
    _on("expand", (1, 3), {"size": (0, 3), "implicit": False}),
)

_MOVES = (
    _on("repeat", (2, 3), {"repeats": (2, 1, 2)}),
    _on("repeat", (), {"repeats": (3,)}, "int64"),
    _on("repeat", (2,), {"repeats": (0,)}),
    _on("repeat_interleave", (2, 3), {"repeats": 2, "dim": 1, "output_size": None}),
    _on("repeat_interleave", (2, 3), {"repeats": 3, "dim": None, "output_size": None}),
    _on("repeat_interleave", (2, 0), {"repeats": 2, "dim": 0, "output_size": None}),
    _on("flip", (3, 4, 5), {"dims": (0, -1)}),
    _on("flip", (3, 4), {"dims": ()}, "bfloat16"),
    _on("flip", (), {"dims": ()}),
    _on("roll", (3, 5), {"shifts": (1, -7), "dims": (0, 1)}),
    _on("roll", (5, 5, 5), {"shifts": (1, 2, -1), "dims": (0, 1, 2)}),
    _on("roll", (2, 8, 8, 32), {"shifts": (-3, -3), "dims": (1, 2)}),
    _on("roll", (3, 5), {"shifts": (4,), "dims": ()}),
    _on("roll", (3, 5), {"shifts": (1, 1), "dims": (-1, -1)}),
    _on("roll", (0, 5), {"shifts": (1,), "dims": (1,)}),
    _on("pixel_shuffle", (2, 12, 3, 4), {"upscale_factor": 2}),
    _on("pixel_shuffle", (9, 2, 2), {"upscale_factor": 3}),
    _on("pixel_shuffle", (0, 4, 2, 2), {"upscale_factor": 2}),
    _on("pixel_unshuffle", (2, 3, 4, 6), {"downscale_factor": 2}),
    _on("pixel_unshuffle", (1, 9, 9), {"downscale_factor": 3}, "int64"),
    _on("pixel_unshuffle", (4, 4, 4), {"downscale_factor": 4}, "bool"),
    _on("channel_shuffle", (2, 6, 3, 3), {"groups": 3}),
    _on("channel_shuffle", (1, 8, 5), {"groups": 2}),
    _on("channel_shuffle", (0, 4, 5), {"groups": 2}),
)

CASES: tuple[OpCase, ...] = (*_SAME_ORDER, *_RESHAPES, *_STRIDED, *_MOVES)
REFUSED: tuple[OpCase, ...] = (_on("permute", (2, 3), {"dims": (1, 0)}, "complex64"),)
