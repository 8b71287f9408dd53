"""Direct convolution over dense tensors, for what has no blocked form: other ranks, odd groups, computed weights.

Loops: batch, channel tile, outer positions (in parallel) | reduction | channels unrolled, a run of the contiguous
axis. The run accumulates in a small buffer in the nearest cache, so that no size needs to divide into a tile.
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
    name_of,
    split_axes,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: output channels that share each load of the input
_CHANNELS = 4
#: elements of the contiguous axis that are accumulated at a time, at most: with the channels, 4 KiB
_RUN = 256


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the convolution ``anchor`` (axes [batch,] channel, position ... | reduction)."""
    work = work_of(sch, anchor)
    spatial, reduction = split_axes(sch, anchor)
    if len(spatial) < 2 or not reduction:
        raise NotApplicable("not a convolution")
    handled: list[Any] = [anchor]
    for pad in sch.get_producers(anchor):
        if name_of(sch, pad) not in done and is_spatial(sch, pad):
            inline_prologue(sch, pad, done)
            loops = sch.get_loops(pad)
            if len(loops) > 1:
                fuse_parallel(sch, loops[:-1], work_of(sch, pad))
            handled.append(pad)
    epilogue = fold_epilogue(sch, anchor)
    *outer, position = spatial
    channel = outer[1] if len(outer) > 1 else outer[0]
    tile = max(d for d in divisors(extent(sch, channel)) if d <= _CHANNELS)
    run = max(d for d in divisors(extent(sch, position)) if d <= _RUN)
    channel_o, channel_i = sch.split(channel, [None, tile])
    position_o, position_i = sch.split(position, [None, run])
    order = [channel_o if loop is channel else loop for loop in outer]
    sch.reorder(*order, position_o, *reduction, channel_i, position_i)
    at = fuse_parallel(sch, [*order, position_o], work)
    sch.unroll(channel_i)
    sch.reverse_compute_at(epilogue, at, preserve_unit_loops=True)
    if run % target.lanes == 0:
        for block in (anchor, epilogue):
            _, vector = sch.split(sch.get_loops(block)[-1], [None, target.lanes])
            sch.vectorize(vector)
    start = sch.decompose_reduction(anchor, reduction[0])
    return {name_of(sch, b) for b in (*handled, epilogue, start)}
