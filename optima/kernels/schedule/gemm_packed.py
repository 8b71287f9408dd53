"""Matrix product with a packed weight ``[N/nb, K, nb]``: rows x vectors of columns in registers.

Loops: column tile, outer rows, row tile (in parallel) | depth | rows, vectors unrolled, lanes vectorised. The
column tile is outermost, so its panel of weights stays in the cache while all rows pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.structure import (
    NotApplicable,
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
from optima.kernels.schedule.tile import choose_tile

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget


def apply(sch: Any, anchor: Any, target: CpuTarget) -> None:
    """Schedule the product ``anchor`` (axes ..., row, column | depth), its prologue and its epilogue."""
    work = work_of(sch, anchor)
    spatial, reduction = split_axes(sch, anchor)
    if len(reduction) != 1 or extent(sch, spatial[-1]) % target.lanes:
        raise NotApplicable("not a packed product")
    while len(spatial) < 3:
        spatial.insert(0, sch.add_unit_loop(spatial[0]))
    *batch, outer, row, column = spatial
    vectors = extent(sch, column) // target.lanes
    tile = choose_tile(
        extent(sch, outer), extent(sch, row), vectors, target.vector_registers, 2 * target.threads
    )
    for producer in sch.get_producers(anchor):
        inline_prologue(sch, producer)
        if not is_spatial(sch, producer):
            raise NotApplicable("the product reads a reduction")
        loops = sch.get_loops(producer)
        if len(loops) > 1:
            fuse_parallel(sch, loops[:-1], work_of(sch, producer))
    epilogue = fold_epilogue(sch, anchor)
    outer_o, outer_i = sch.split(outer, [None, tile.rows])
    row_o, row_i = sch.split(row, [None, tile.columns])
    column_o, column_i, lane = sch.split(column, [None, tile.blocks, target.lanes])
    sch.reorder(column_o, *batch, outer_o, row_o, *reduction, outer_i, row_i, column_i, lane)
    at = fuse_parallel(sch, [column_o, *batch, outer_o, row_o], work)
    for loop in (outer_i, row_i, column_i):
        sch.unroll(loop)
    sch.vectorize(lane)
    sch.reverse_compute_at(epilogue, at, preserve_unit_loops=True)
    last = sch.get_loops(epilogue)[-1]
    if extent(sch, last) % target.lanes == 0:
        sch.split(last, [None, target.lanes])
        unroll_tile(sch, epilogue, at)
    unroll_tile(sch, sch.decompose_reduction(anchor, reduction[0]), at)
    schedule_rest(sch, epilogue, target)
