"""Direct convolution into channel blocks: a register tile of pixels x channel blocks, one FMA per vector.

Loops: batch, output-channel tile, row tile (in parallel), column tile | reduction | tile unrolled, lanes vectorised.
The tile's accumulators stay in registers over the whole reduction; the epilogue writes them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.lanes import unroll_tile
from optima.kernels.schedule.structure import (
    NotApplicable,
    extent,
    fold_epilogue,
    fuse_parallel,
    inline_prologue,
    is_spatial,
    name_of,
    split_axes,
    work_of,
)
from optima.kernels.schedule.tile import choose_tile

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the convolution ``anchor`` with what stands before and behind it."""
    work = work_of(sch, anchor)
    spatial, reduction = split_axes(sch, anchor)
    if len(spatial) != 5:
        raise NotApplicable("not a five-dimensional convolution")
    n, co, oh, ow, lane = spatial
    if extent(sch, lane) > 2 * target.lanes:
        raise NotApplicable("the block is wider than two vectors")
    vectors = max(1, extent(sch, lane) // target.lanes)
    tile = choose_tile(
        extent(sch, oh), extent(sch, ow), extent(sch, co), target.vector_registers // vectors, 4 * target.threads
    )
    handled: list[Any] = [anchor]
    for pad in sch.get_producers(anchor):
        if name_of(sch, pad) not in done:
            inline_prologue(sch, pad, done)
            _pad_in_parallel(sch, pad)
            handled.append(pad)
    epilogue = fold_epilogue(sch, anchor)
    co_o, co_i = sch.split(co, [None, tile.blocks])
    oh_o, oh_i = sch.split(oh, [None, tile.rows])
    ow_o, ow_i = sch.split(ow, [None, tile.columns])
    sch.reorder(n, co_o, oh_o, ow_o, *reduction, oh_i, ow_i, co_i, lane)
    fuse_parallel(sch, [n, co_o, oh_o], work)
    for loop in (co_i, oh_i, ow_i):
        sch.unroll(loop)
    sch.vectorize(lane)
    sch.reverse_compute_at(epilogue, ow_o, preserve_unit_loops=True)
    unroll_tile(sch, epilogue, ow_o)
    start = sch.decompose_reduction(anchor, reduction[0])
    unroll_tile(sch, start, ow_o)
    return {name_of(sch, b) for b in (*handled, epilogue, start)}


def _pad_in_parallel(sch: Any, pad: Any) -> None:
    """The padded copy: rows in parallel, lanes (or, in a dense input, nothing) as vectors."""
    if not is_spatial(sch, pad):
        raise NotApplicable("the convolution reads a reduction")
    work = work_of(sch, pad)
    loops = sch.get_loops(pad)
    fuse_parallel(sch, loops[:3], work)
    if len(loops) == 5:
        sch.vectorize(loops[4])
