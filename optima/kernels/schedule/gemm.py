"""Matrix product of two computed operands: pad to whole tiles, pack the right side if its columns are strided, tile.

Both operands are copied only where that is needed: padding for sizes that no tile divides, and a transposed right
side (``query @ key.T``) so that its columns lie side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.expressions import mentions
from optima.kernels.schedule.gemm_packed import tile_product
from optima.kernels.schedule.structure import (
    NotApplicable,
    extent,
    fuse_parallel,
    is_output,
    is_spatial,
    name_of,
    split_axes,
    work_of,
)
from optima.ops.blocked_linear import even_rows

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: with fewer rows than this, copying the right side costs more than it saves
_FEWEST_ROWS = 4


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the product ``anchor`` (axes batch ..., row, column | depth)."""
    spatial, reduction = split_axes(sch, anchor)
    node = sch.get(anchor)
    if len(reduction) != 1 or len(spatial) < 2 or len(node.reads) != 2:
        raise NotApplicable("not a product of two matrices")
    if any(str(r.source.dtype) != "float32" for r in (*node.reads, *node.writes)):
        raise NotApplicable("tiles are written for float32")
    rows, columns = extent(sch, spatial[-2]), extent(sch, spatial[-1])
    if rows < _FEWEST_ROWS:
        raise NotApplicable("too few rows to pay for a copy of the right side")
    if is_output(sch, anchor):
        sch.cache_write(anchor, 0, "global")  # padding needs a buffer whose shape may change
    lanes = target.lanes
    width = lanes if columns <= lanes else 2 * lanes
    even = even_rows(rows, 14 if target.vector_registers >= 32 else 6)
    if even != rows or columns % lanes:
        tile_rows = even if even != rows else 1
        sch.pad_einsum(anchor, [*[1] * (len(spatial) - 2), tile_rows, width if columns % lanes else 1, 1])
    packed = [] if _columns_are_contiguous(sch, anchor) else [_pack(sch, anchor, lanes)]
    handled = tile_product(sch, anchor, target, columns_first=False)
    return handled | {name_of(sch, b) for b in packed}


def _columns_are_contiguous(sch: Any, anchor: Any) -> bool:
    """Whether the right operand's last index is the column: its vectors are then plain loads."""
    node = sch.get(anchor)
    column = [v.var for v in node.iter_vars if int(v.iter_type) == 0][-1]
    return bool(node.reads[1].region[-1].min.same_as(column))


def _pack(sch: Any, anchor: Any, lanes: int) -> Any:
    """Copy the right operand with its columns in vectors behind the depth: ``[..., column / lanes, depth, lanes]``."""
    node = sch.get(anchor)
    column = [v.var for v in node.iter_vars if int(v.iter_type) == 0][-1]
    indices = [part.min for part in node.reads[1].region]
    at = next((i for i, index in enumerate(indices) if index.same_as(column)), None)
    if at is None or any(mentions(index, [column]) for i, index in enumerate(indices) if i != at):
        raise NotApplicable("the right side's columns are not an axis of it")
    copy = sch.cache_read(anchor, 1, "global")
    for producer in sch.get_producers(copy):
        if is_spatial(sch, producer) and name_of(sch, producer).endswith("_pad"):
            sch.compute_inline(producer)

    def packed(*index: Any) -> list[Any]:
        rest = [p for i, p in enumerate(index) if i != at]
        return [*rest[:-1], index[at] // lanes, rest[-1], index[at] % lanes]

    sch.transform_layout(anchor, ("read", 1), packed)
    loops = sch.get_loops(copy)
    outer, lane = sch.split(loops[at], [None, lanes])
    order = [*loops[:at], outer, *loops[at + 1 :]]
    sch.reorder(*order, lane)
    fuse_parallel(sch, order, work_of(sch, copy))
    sch.vectorize(lane)
    return copy
