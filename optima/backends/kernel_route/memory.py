"""The memory plan of a subgraph: offsets in one arena such that tensors alive together never overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: every buffer starts at a multiple of this: one cache line, and the widest vector (AVX-512)
ALIGNMENT = 64


@dataclass(frozen=True)
class Lifetime:
    """A buffer of ``nbytes`` that is written first at step ``first`` and read last at step ``last``."""

    name: str
    nbytes: int
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


def aligned(nbytes: int, alignment: int = ALIGNMENT) -> int:
    """``nbytes`` rounded up to the alignment."""
    return -(-nbytes // alignment) * alignment


def place(lifetimes: Sequence[Lifetime], alignment: int = ALIGNMENT) -> tuple[Mapping[str, int], int]:
    """Offsets by name, multiples of ``alignment``, and the arena's size in bytes.

    Greedy by size for offset calculation (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020): largest first, each at the smallest gap that fits among those alive with it.
    """
    placed: list[tuple[int, Lifetime]] = []
    offsets: dict[str, int] = {}
    total = 0
    for item in sorted(lifetimes, key=lambda t: (-t.nbytes, t.first, t.name)):
        size = aligned(item.nbytes, alignment)
        offset = _smallest_gap(size, sorted((o, aligned(t.nbytes, alignment)) for o, t in placed if t.overlaps(item)))
        placed.append((offset, item))
        offsets[item.name] = offset
        total = max(total, offset + size)
    return offsets, total


def _smallest_gap(size: int, taken: Sequence[tuple[int, int]]) -> int:
    best: tuple[int, int] | None = None
    end = 0
    for offset, length in taken:
        gap = offset - end
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, end)
        end = max(end, offset + length)
    return best[1] if best else end
