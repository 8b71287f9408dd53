"""What a pass may know besides the graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PassContext:
    """``lanes``: float32 elements in one vector register of the target (16 with AVX-512, 8 AVX2, 4 NEON).

    It is the block size of blocked layouts.
    """

    lanes: int
