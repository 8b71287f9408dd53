"""Softmax and normalisations: a workgroup per row, all stages of which stay in shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.gpu.schedule.threads import plain_fold
from optima.kernels.schedule.lanes import loops_below
from optima.kernels.schedule.row import cluster_of, row_axes
from optima.kernels.schedule.structure import NotApplicable, extent, is_spatial, name_of, work_of

if TYPE_CHECKING:
    from optima.kernels.gpu.target import GpuTarget


def apply(sch: Any, anchor: Any, target: GpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the run of row stages that begins with ``anchor``."""
    cluster = cluster_of(sch, anchor, done)
    depth = row_axes(sch, cluster)
    *inner, last = cluster
    folds = [b for b in inner if not is_spatial(sch, b)]
    if not is_spatial(sch, last) or not all(plain_fold(sch, b) for b in folds):
        raise NotApplicable("a stage's result is not one that threads could make together")
    names = {name_of(sch, b) for b in cluster}
    rows = [extent(sch, loop) for loop in sch.get_loops(last)[:depth]]
    inner = _within_shared_memory(sch, inner, rows, target)
    loops = sch.get_loops(last)
    row = sch.fuse(*loops[:depth]) if depth > 1 else loops[0]
    width = _width(sch, last, rows, target)
    for block in reversed(inner):
        sch.compute_at(block, row, preserve_unit_loops=True)
        sch.set_scope(block, 0, "shared")
    for block in (*inner, last):
        _share_out(sch, block, row, width)
    sch.bind(row, "blockIdx.x")
    return names


def _width(sch: Any, last: Any, rows: list[int], target: GpuTarget) -> int:
    """Threads of a row: a power of two, about one for every two elements."""
    count = 1
    for d in rows:
        count *= d
    length = work_of(sch, last) // count
    return int(max(8, min(target.threads, 1 << max(0, (length - 1).bit_length() - 1))))


def _within_shared_memory(sch: Any, inner: list[Any], rows: list[int], target: GpuTarget) -> list[Any]:
    """The stages that stay; those of a whole row that do not fit are computed again where they are read."""
    count = 1
    for d in rows:
        count *= d
    free = target.shared_bytes // 2  # the other half is for folds, and for what shares the workgroup
    kept: list[Any] = []
    for block in inner:
        elements = 1
        for d in sch.get(block).writes[0].source.shape:
            elements *= int(d)
        nbytes = 8 * -(-elements // count)
        if is_spatial(sch, block) and nbytes > free:
            sch.compute_inline(block)
            continue
        free -= nbytes
        kept.append(block)
    if free < 0:
        raise NotApplicable("the row's folds do not fit into shared memory")
    return kept


def _share_out(sch: Any, block: Any, row: Any, width: int) -> None:
    """Give a stage's elements, or the terms of its fold, to the workgroup's threads in turn."""
    below = loops_below(sch, block, row)
    if not below:
        below = [sch.add_unit_loop(block)]
    if not is_spatial(sch, block):
        kinds = [int(v.iter_type) for v in sch.get(block).iter_vars]
        below = below[-sum(kind == 2 for kind in kinds) :]
    whole = sch.fuse(*below) if len(below) > 1 else below[0]
    _, thread = sch.split(whole, [None, width])
    sch.bind(thread, "threadIdx.x")
