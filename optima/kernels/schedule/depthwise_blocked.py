"""Windows over blocked tensors, channel by channel: depthwise convolution and pooling.

Loops: batch, channel block, chunk of rows (in parallel), row, column tile | window | columns unrolled, lanes as one
vector. A chunk pads its own rows first, so that the padded copy is read from the nearest cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.structure import (
    NotApplicable,
    divisors,
    extent,
    fold_epilogue,
    fuse_parallel,
    inline_prologue,
    is_spatial,
    schedule_rest,
    split_axes,
    unroll_tile,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: bytes of padded input that a chunk of rows may take: half of a 32 KiB first-level cache
_CHUNK_BYTES = 16_384
#: window columns that are unrolled, at most: more only grows the code
_MOST_UNROLLED = 5


def apply(sch: Any, anchor: Any, target: CpuTarget) -> None:
    """Schedule the windowed reduction ``anchor``, its padding and its epilogue."""
    work = work_of(sch, anchor)
    spatial, reduction = split_axes(sch, anchor)
    producers = list(sch.get_producers(anchor))
    for producer in producers:
        inline_prologue(sch, producer)
        if not is_spatial(sch, producer):
            raise NotApplicable("the window reads a reduction")
    epilogue = fold_epilogue(sch, anchor)
    if len(spatial) == 3:
        _whole_image(sch, anchor, epilogue, spatial, reduction, work)
    elif len(spatial) == 5:
        _windows(sch, anchor, epilogue, spatial, reduction, target)
    else:
        raise NotApplicable("not a window over a blocked tensor")
    schedule_rest(sch, epilogue, target)


def _whole_image(
    sch: Any, anchor: Any, epilogue: Any, spatial: list[Any], reduction: list[Any], work: int
) -> None:
    """One result per channel: the reduction runs over the image with one vector of channels."""
    n, c, lane = spatial
    sch.reorder(n, c, *reduction, lane)
    outer = fuse_parallel(sch, [n, c], work)
    sch.vectorize(lane)
    sch.reverse_compute_at(epilogue, outer, preserve_unit_loops=True)
    unroll_tile(sch, epilogue, outer)
    unroll_tile(sch, sch.decompose_reduction(anchor, reduction[0]), outer)


def _windows(
    sch: Any, anchor: Any, epilogue: Any, spatial: list[Any], reduction: list[Any], target: CpuTarget
) -> None:
    n, c, oh, ow, lane = spatial
    kh, kw = reduction
    work = work_of(sch, anchor)
    height, width = extent(sch, oh), extent(sch, ow)
    columns = max(d for d in divisors(width) if d <= target.vector_registers // 2)
    rows = _rows_per_chunk(sch, anchor, height)
    oh_o, oh_i = sch.split(oh, [None, rows])
    ow_o, ow_i = sch.split(ow, [None, columns])
    sch.reorder(n, c, oh_o, oh_i, ow_o, kh, kw, ow_i, lane)
    chunk = fuse_parallel(sch, [n, c, oh_o], work)
    sch.vectorize(lane)
    sch.unroll(ow_i)
    if extent(sch, kw) <= _MOST_UNROLLED:
        sch.unroll(kw)
    for producer in sch.get_producers(anchor):
        sch.compute_at(producer, chunk, preserve_unit_loops=True)
        sch.vectorize(sch.get_loops(producer)[-1])
    sch.reverse_compute_at(epilogue, ow_o, preserve_unit_loops=True)
    unroll_tile(sch, epilogue, ow_o)
    unroll_tile(sch, sch.decompose_reduction(anchor, kh), ow_o)


def _rows_per_chunk(sch: Any, anchor: Any, height: int) -> int:
    """Output rows whose input fits the nearest cache, an even share of the image."""
    image = sch.get(anchor).reads[0].source.shape
    row_bytes = int(image[3]) * int(image[4]) * 4 * max(1, int(image[2]) // max(1, height))
    return max(d for d in divisors(height) if d == 1 or d * row_bytes <= _CHUNK_BYTES)
