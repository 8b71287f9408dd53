"""Matrix product: a workgroup per tile of the result, operands by way of shared memory, a small tile per thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.gpu.schedule.threads import fill_together, local_result
from optima.kernels.schedule.structure import (
    NotApplicable,
    extent,
    is_output,
    is_spatial,
    name_of,
    split_axes,
)

if TYPE_CHECKING:
    from optima.kernels.gpu.target import GpuTarget

#: edge of a workgroup's tile -> (threads along it, results of each)
_EDGES = {64: (16, 4), 32: (8, 4), 16: (8, 2)}
#: workgroups that keep a small GPU busy: with fewer, tiles get smaller
_BUSY_GROUPS = 16
#: products of one pass over shared memory
_DEPTH = 16
#: below this a tile would be mostly padding, and a fold by threads is better
_FEWEST = 8


def apply(sch: Any, anchor: Any, target: GpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the product ``anchor`` (axes batch ..., row, column | depth)."""
    spatial, reduction = split_axes(sch, anchor)
    if len(reduction) != 1 or len(spatial) < 2 or len(sch.get(anchor).reads) != 2:
        raise NotApplicable("not a product of two matrices")
    rows, columns, depth = extent(sch, spatial[-2]), extent(sch, spatial[-1]), extent(sch, reduction[0])
    if min(rows, columns, depth) < _FEWEST:
        raise NotApplicable("too few rows, columns or products for tiles")
    batch = 1
    for loop in spatial[:-2]:
        batch *= extent(sch, loop)
    edge = _edge(batch, rows, columns)
    names = {name_of(sch, anchor)}
    if rows % edge or columns % edge or depth % _DEPTH:
        if is_output(sch, anchor):
            names.add(name_of(sch, sch.cache_write(anchor, 0, "global")))  # padding needs a buffer that may grow
        sch.pad_einsum(anchor, [*[1] * (len(spatial) - 2), edge, edge, _DEPTH])
    operands = [sch.cache_read(anchor, k, "shared") for k in range(2)]
    for operand in operands:
        _inline_operands(sch, operand, done)
    final = local_result(sch, anchor, done)
    names |= {name_of(sch, b) for b in (*operands, final)}
    return names | _tile(sch, anchor, operands, final, edge)


def _edge(batch: int, rows: int, columns: int) -> int:
    """The largest tile's edge that gives enough workgroups, else the smallest."""
    for edge in _EDGES:
        groups = batch * -(-rows // edge) * -(-columns // edge)
        if groups >= _BUSY_GROUPS and min(rows, columns) > edge // 2:
            return edge
    return min(_EDGES)


def _inline_operands(sch: Any, reader: Any, done: frozenset[str]) -> None:
    """Padding and conversions of an operand are computed where it is copied to shared memory."""
    for producer in sch.get_producers(reader):
        if is_spatial(sch, producer) and not is_output(sch, producer) and name_of(sch, producer) not in done:
            _inline_operands(sch, producer, done)
            if len(list(sch.get_consumers(producer))) == 1 and sch.get_loops(producer):
                sch.compute_inline(producer)


def _tile(sch: Any, anchor: Any, operands: list[Any], final: Any, edge: int) -> set[str]:
    *outer, row, column, depth = sch.get_loops(anchor)
    batch = sch.fuse(*outer) if len(outer) > 1 else outer[0] if outer else sch.add_unit_loop(row)
    threads, each = _EDGES[edge]
    row_o, row_t, row_i = sch.split(row, [None, threads, each])
    column_o, column_t, column_i = sch.split(column, [None, threads, each])
    depth_o, depth_i = sch.split(depth, [None, _DEPTH])
    sch.reorder(batch, row_o, column_o, row_t, column_t, depth_o, depth_i, row_i, column_i)
    axes = ("blockIdx.z", "blockIdx.y", "blockIdx.x", "threadIdx.y", "threadIdx.x")
    for loop, axis in zip((batch, row_o, column_o, row_t, column_t), axes, strict=True):
        sch.bind(loop, axis)
    for operand in operands:
        fill_together(sch, operand, depth_o, threads, threads)
    sch.reverse_compute_at(final, column_t, preserve_unit_loops=True)
    for loop in (row_i, column_i):
        sch.unroll(loop)
    start = sch.decompose_reduction(anchor, depth_o)
    return {name_of(sch, start)}
