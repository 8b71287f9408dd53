"""Which parts of a device's memory a subgraph's buffers are, whichever interface gives the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from optima.backends.kernel_route.buffers import alias_roots
from optima.backends.kernel_route.memory import aligned
from optima.backends.kernel_route.meta import BufferMeta
from optima.backends.spirv.meta import SpirvSubgraph

#: constants lie in blocks of at most this many bytes: a device need not give more in one piece
_BLOCK_BYTES = 1 << 28

Block = TypeVar("Block")


@dataclass(frozen=True)
class Region(Generic[Block]):
    """A part of a block of device memory."""

    block: Block
    offset: int
    nbytes: int


def packed(allocate: Callable[[int], Block], buffers: Iterable[BufferMeta], alignment: int) -> dict[str, Region[Block]]:
    """A region for each buffer, by name, in as few blocks as may be. ``allocate`` makes a block of so many bytes."""
    groups: list[tuple[int, dict[str, tuple[int, int]]]] = []
    for buffer in buffers:
        size = aligned(max(buffer.nbytes, 1), alignment)
        if not groups or groups[-1][0] + size > _BLOCK_BYTES:
            groups.append((0, {}))
        end, places = groups[-1]
        places[buffer.name] = (end, buffer.nbytes)
        groups[-1] = (end + size, places)
    regions: dict[str, Region[Block]] = {}
    for total, places in groups:
        block = allocate(total)
        regions |= {name: Region(block, offset, nbytes) for name, (offset, nbytes) in places.items()}
    return regions


def of_request(
    allocate: Callable[[int], Block], meta: SpirvSubgraph, constants: Mapping[str, Region[Block]]
) -> dict[str, Region[Block]]:
    """Every buffer of a subgraph; borders and arena are new ones, for one request."""
    regions = {**constants, **packed(allocate, [b for b in meta.buffers if b.kind == "border"], meta.alignment)}
    arena = allocate(meta.arena_bytes) if meta.arena_bytes else None
    for buffer in meta.buffers:
        if buffer.kind == "scratch" and arena is not None:
            regions[buffer.name] = Region(arena, buffer.offset, buffer.nbytes)
    roots = alias_roots(meta)
    for buffer in meta.buffers:
        if buffer.kind == "alias":
            regions[buffer.name] = regions[roots[buffer.name]]
    return regions
