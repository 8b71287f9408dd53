"""Cases of the ops with several outputs: uneven parts, an empty part, negative dimensions."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _parts(name: str, shape: tuple[int, ...], attrs: dict[str, Any], outputs: int, dtype: str = "float32") -> OpCase:
    return OpCase(name, (Arg("self", shape, dtype),), attrs, outputs, tolerance=0.0)


CASES: tuple[OpCase, ...] = (
    _parts("split", (7, 3), {"split_size": 3, "dim": 0}, 3),
    _parts("split", (2, 6), {"split_size": 2, "dim": -1}, 3, "int64"),
    _parts("split", (0, 6), {"split_size": 4, "dim": 1}, 2),
    _parts("split_with_sizes", (2, 6), {"split_sizes": (1, 3, 2), "dim": 1}, 3),
    _parts("split_with_sizes", (6,), {"split_sizes": (2, 0, 4), "dim": 0}, 3),
    _parts("split_with_sizes", (0, 2), {"split_sizes": (1, 1), "dim": 1}, 2),
    _parts("split_with_sizes", (6, 2), {"split_sizes": (6,), "dim": -2}, 1, "bfloat16"),
    _parts("chunk", (7, 3), {"chunks": 3, "dim": 0}, 3),
    _parts("chunk", (2, 5), {"chunks": 4, "dim": 1}, 3),
    _parts("chunk", (2, 0), {"chunks": 2, "dim": 1}, 2),
    _parts("unbind", (3, 4), {"dim": 0}, 3),
    _parts("unbind", (3, 4), {"dim": -1}, 4, "bool"),
    _parts("unbind", (2, 0), {"dim": 0}, 2),
    _parts("unbind", (3,), {"dim": 0}, 3),
)
