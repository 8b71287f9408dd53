"""Windows over blocked tensors, channel by channel: depthwise convolution and pooling.

Loops: batch, channel block, chunk of rows (in parallel), row, column tile | window | columns unrolled, lanes as one
vector. A chunk pads its own rows first, so that the padded copy is read from the nearest cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.lanes import unroll_tile
from optima.kernels.schedule.structure import (
    NotApplicable,
    divisors,
    extent,
    fold_epilogue,
    fuse_parallel,
    inline_prologue,
    is_spatial,
    name_of,
    split_axes,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: bytes of padded input that a chunk of rows may take: half of a 32 KiB first-level cache
_CHUNK_BYTES = 16_384
#: window columns that are unrolled, at most: more only grows the code
_MOST_UNROLLED = 5


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the windowed reduction ``anchor``, its padding and its epilogue."""
    spatial, reduction = split_axes(sch, anchor)
    if len(spatial) not in (3, 5) or len(reduction) != 2:
        raise NotApplicable("not a window over a blocked tensor")
    pads = [p for p in sch.get_producers(anchor) if name_of(sch, p) not in done]
    for pad in pads:
        inline_prologue(sch, pad, done)
        if not is_spatial(sch, pad):
            raise NotApplicable("the window reads a reduction")
    epilogue = fold_epilogue(sch, anchor)
    work = work_of(sch, anchor)
    if len(spatial) == 3:
        at = _whole_image(sch, pads, spatial, reduction, work)
    else:
        at = _windows(sch, anchor, pads, spatial, reduction, target, work)
    sch.reverse_compute_at(epilogue, at, preserve_unit_loops=True)
    unroll_tile(sch, epilogue, at)
    start = sch.decompose_reduction(anchor, reduction[0])
    unroll_tile(sch, start, at)
    return {name_of(sch, b) for b in (*pads, anchor, epilogue, start)}


def _whole_image(sch: Any, pads: list[Any], spatial: list[Any], reduction: list[Any], work: int) -> Any:
    """One result per channel: the reduction runs over the image with one vector of channels."""
    n, c, lane = spatial
    sch.reorder(n, c, *reduction, lane)
    outer = fuse_parallel(sch, [n, c], work)
    sch.vectorize(lane)
    for pad in pads:
        sch.compute_at(pad, outer, preserve_unit_loops=True)
    return outer


def _windows(
    sch: Any,
    anchor: Any,
    pads: list[Any],
    spatial: list[Any],
    reduction: list[Any],
    target: CpuTarget,
    work: int,
) -> Any:
    n, c, oh, ow, lane = spatial
    kh, kw = reduction
    columns = max(d for d in divisors(extent(sch, ow)) if d <= target.vector_registers // 2)
    oh_o, oh_i = sch.split(oh, [None, _rows_per_chunk(sch, anchor, extent(sch, oh))])
    ow_o, ow_i = sch.split(ow, [None, columns])
    sch.reorder(n, c, oh_o, oh_i, ow_o, kh, kw, ow_i, lane)
    chunk = fuse_parallel(sch, [n, c, oh_o], work)
    sch.vectorize(lane)
    sch.unroll(ow_i)
    if extent(sch, kw) <= _MOST_UNROLLED:
        sch.unroll(kw)
    for pad in pads:
        sch.compute_at(pad, chunk, preserve_unit_loops=True)
        sch.vectorize(sch.get_loops(pad)[-1])
    return ow_o


def _rows_per_chunk(sch: Any, anchor: Any, height: int) -> int:
    """Output rows whose input fits the nearest cache, an even share of the image."""
    image = sch.get(anchor).reads[0].source.shape
    row_bytes = int(image[3]) * int(image[4]) * 4 * max(1, int(image[2]) // max(1, height))
    return max(d for d in divisors(height) if d == 1 or d * row_bytes <= _CHUNK_BYTES)
