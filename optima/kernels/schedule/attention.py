"""Attention block by block of query rows: both products' register tiles and the softmax between them in one loop.

Loops: batch, block of rows (in parallel) | scores by column tiles | the softmax's stages | values by column tiles.
What passes between them is as tall as a block and stays in the nearest cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.expressions import body_cost
from optima.kernels.schedule.lanes import loops_below, unroll_tile
from optima.kernels.schedule.structure import (
    NotApplicable,
    divisors,
    extent,
    fuse_parallel,
    is_output,
    is_spatial,
    name_of,
    rule_of,
    work_of,
)
from optima.kernels.schedule.tile import Tile, cycles_per_output
from optima.ops.te_attention import rows_per_block

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: stages between the two products, in the order of reading: each is moved in front of what reads it
_SOFTMAX = ("sum_1", "sum_2", "sum_4", "sum_8", "sum_lanes", "exponentials", "peak_1", "peak_2", "peak_4", "peak_8",
            "peak_lanes", "masked")  # fmt: skip


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the attention that begins with ``anchor``."""
    parts = _parts(sch, anchor, done)
    names = {name_of(sch, b) for b in parts.values()}
    for name in ("query_rows", "key_columns", "value_rows"):
        if name in parts:
            _inline_views(sch, parts[name], done)
    scores, weighted, whole = parts["scores"], parts["weighted"], parts["normalised"]
    work = work_of(sch, scores) + work_of(sch, weighted)
    height = rows_per_block(_rows(sch, parts))
    for name in ("key_columns", "value_rows"):
        if name in parts:
            _copy(sch, parts[name], work)
    *batch, row, column = sch.get_loops(whole)
    outer, inner = sch.split(row, [None, height])
    tile = _tile(height, extent(sch, column) // target.lanes, target)
    tile_o, tile_i = sch.split(inner, [None, tile.rows])
    column_o, column_i, lane = sch.split(column, [None, tile.blocks, target.lanes])
    sch.reorder(*batch, outer, tile_o, column_o, tile_i, column_i, lane)
    block = fuse_parallel(sch, [*batch, outer], work)
    if "attention" in parts:
        sch.reverse_compute_at(parts["attention"], column_o, preserve_unit_loops=True)
        _vectorize(sch, parts["attention"], column_o, target)
    unroll_tile(sch, whole, column_o)
    starts = [_tile_product(sch, weighted, column_o, target)]
    for name in _SOFTMAX:
        sch.compute_at(parts[name], block, preserve_unit_loops=True)
    starts.append(_tile_scores(sch, parts, block, height, target))
    sch.compute_at(parts["query_rows"], block, preserve_unit_loops=True)
    for name in ("query_rows", *_SOFTMAX[:-1]):
        starts += _vectorize(sch, parts[name], block, target)
    return names | {name_of(sch, b) for b in (*parts.values(), *starts)}


def _rows(sch: Any, parts: dict[str, Any]) -> int:
    last = parts.get("attention", parts["normalised"])
    return int(sch.get(last).writes[0].source.shape[-2])


def _parts(sch: Any, anchor: Any, done: frozenset[str]) -> dict[str, Any]:
    """The blocks of the anchor's attention by the part they play: what its first copies lead to, up to its result."""
    found: dict[str, Any] = {}
    rest = [anchor]
    while rest:
        block = rest.pop()
        if rule_of(sch, block) != "attention" or name_of(sch, block) in done:
            continue
        part = str(sch.get(block).annotations["part"])
        if part in found:
            if name_of(sch, found[part]) != name_of(sch, block):
                raise NotApplicable("two attentions share a stage")
            continue
        found[part] = block
        if part not in ("query_rows", "key_columns", "value_rows"):
            rest += sch.get_producers(block)
        if part == "normalised":
            # Its other readers may be the copies of a next attention.
            rest += [c for c in sch.get_consumers(block) if _is_crop(sch, c)]
        elif part != "attention":
            rest += sch.get_consumers(block)
    return found


def _is_crop(sch: Any, block: Any) -> bool:
    return rule_of(sch, block) == "attention" and str(sch.get(block).annotations["part"]) == "attention"


def _inline_views(sch: Any, block: Any, done: frozenset[str]) -> None:
    """Let a copy read through what only rearranges."""
    for producer in sch.get_producers(block):
        if not is_spatial(sch, producer) or is_output(sch, producer) or name_of(sch, producer) in done:
            continue
        own = rule_of(sch, producer) == "" and len(list(sch.get_consumers(producer))) == 1
        if own and body_cost(sch.get(producer).body) == (0, 0):
            _inline_views(sch, producer, done)
            sch.compute_inline(producer)


def _copy(sch: Any, block: Any, work: int) -> None:
    loops = sch.get_loops(block)
    fuse_parallel(sch, loops[:-1], work)
    sch.vectorize(loops[-1])


def _tile(rows: int, vectors: int, target: CpuTarget) -> Tile:
    """The fastest register tile of a block of ``rows``."""
    best: tuple[float, Tile] | None = None
    for blocks in [d for d in divisors(vectors) if d <= 8]:
        for height in divisors(rows):
            tile = Tile(1, height, blocks)
            if height * blocks + blocks + 1 > target.vector_registers and height * blocks > 1:
                continue
            cost = cycles_per_output(tile)
            if best is None or (cost, -height * blocks) < (best[0], -best[1].columns * best[1].blocks):
                best = (cost, tile)
    if best is None:
        raise NotApplicable("no tile fits the registers")
    return Tile(best[1].columns, 1, best[1].blocks)


def _tile_scores(sch: Any, parts: dict[str, Any], block: Any, height: int, target: CpuTarget) -> Any:
    """The first product inside the loop over its column tiles, which masks each tile from the registers."""
    masked, scores = parts["masked"], parts["scores"]
    *_, row, column = loops_below(sch, masked, block)
    tile = _tile(height, extent(sch, column) // target.lanes, target)
    row_o, row_i = sch.split(row, [None, tile.rows])
    column_o, column_i, lane = sch.split(column, [None, tile.blocks, target.lanes])
    sch.reorder(column_o, row_o, row_i, column_i, lane)
    unroll_tile(sch, masked, row_o)
    return _tile_product(sch, scores, row_o, target)


def _tile_product(sch: Any, product: Any, below: Any, target: CpuTarget) -> Any:
    """``product`` inside the loop ``below``, whose one tile it accumulates in registers; returns its start."""
    sch.compute_at(product, below, preserve_unit_loops=True)
    *_, row, column, depth = loops_below(sch, product, below)
    column_i, lane = sch.split(column, [None, target.lanes])
    sch.reorder(depth, row, column_i, lane)
    for loop in (row, column_i):
        sch.unroll(loop)
    sch.vectorize(lane)
    start = sch.decompose_reduction(product, depth)
    unroll_tile(sch, start, below)
    return start


def _vectorize(sch: Any, block: Any, below: Any, target: CpuTarget) -> list[Any]:
    """Vectors along the last spatial loop, a fold's own loop just outside of it; returns the fold's start."""
    inside = loops_below(sch, block, below)
    spatial = is_spatial(sch, block)
    lane = inside[-1] if spatial else inside[-2]
    length = extent(sch, lane)
    if length == 1:
        return []
    if length % target.lanes == 0 and length > target.lanes:
        lane = sch.split(lane, [None, target.lanes])[1]
    elif length > target.lanes:
        return []
    if spatial:
        sch.vectorize(lane)
        return []
    fold = inside[-1]
    sch.reorder(fold, lane)
    sch.vectorize(lane)
    start = sch.decompose_reduction(block, fold)
    sch.vectorize(sch.get_loops(start)[-1])
    return [start]
