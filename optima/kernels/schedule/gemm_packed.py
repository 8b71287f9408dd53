"""Matrix product with a packed weight ``[N/nb, K, nb]``: rows x vectors of columns in registers.

Loops: column tile, outer rows, row tile (in parallel) | depth | rows, vectors unrolled, lanes vectorised. The
column tile is outermost, so its panel of weights stays in the cache while all rows pass.
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
    """Schedule the product ``anchor`` (axes ..., row, column | depth), its prologue and its epilogue."""
    handled: set[str] = set()
    for producer in sch.get_producers(anchor):
        if name_of(sch, producer) in done:
            continue
        inline_prologue(sch, producer, done)
        if not is_spatial(sch, producer):
            raise NotApplicable("the product reads a reduction")
        loops = sch.get_loops(producer)
        if len(loops) > 1:
            fuse_parallel(sch, loops[:-1], work_of(sch, producer))
        handled.add(name_of(sch, producer))
    return handled | tile_product(sch, anchor, target, columns_first=True)


def tile_product(sch: Any, anchor: Any, target: CpuTarget, *, columns_first: bool) -> set[str]:
    """The register tile of a product with axes (batch ..., row, column | depth); returns the blocks it made.

    Columns must be a whole number of vectors, contiguous in the right operand. ``columns_first`` puts the column
    tiles outside the batch: right where all of the batch reads one weight.
    """
    work = work_of(sch, anchor)
    spatial, reduction = split_axes(sch, anchor)
    if len(reduction) != 1 or not spatial or extent(sch, spatial[-1]) % target.lanes:
        raise NotApplicable("columns are no whole number of vectors")
    while len(spatial) < 3:
        spatial.insert(0, sch.add_unit_loop(spatial[0]))
    *batch, outer, row, column = spatial
    vectors = extent(sch, column) // target.lanes
    # Rows of different batches read different columns unless one weight serves all.
    height = extent(sch, outer) if columns_first else 1
    tile = choose_tile(height, extent(sch, row), vectors, target.vector_registers, 2 * target.threads)
    epilogue = fold_epilogue(sch, anchor)
    outer_o, outer_i = sch.split(outer, [None, tile.rows])
    row_o, row_i = sch.split(row, [None, tile.columns])
    column_o, column_i, lane = sch.split(column, [None, tile.blocks, target.lanes])
    order = [column_o, *batch, outer_o, row_o] if columns_first else [*batch, outer_o, column_o, row_o]
    sch.reorder(*order, *reduction, outer_i, row_i, column_i, lane)
    at = fuse_parallel(sch, order, work)
    for loop in (outer_i, row_i, column_i):
        sch.unroll(loop)
    sch.vectorize(lane)
    sch.reverse_compute_at(epilogue, at, preserve_unit_loops=True)
    last = sch.get_loops(epilogue)[-1]
    if extent(sch, last) % target.lanes == 0:
        sch.split(last, [None, target.lanes])
        unroll_tile(sch, epilogue, at)
    start = sch.decompose_reduction(anchor, reduction[0])
    unroll_tile(sch, start, at)
    return {name_of(sch, b) for b in (anchor, epilogue, start)}
