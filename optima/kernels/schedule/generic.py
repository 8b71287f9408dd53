"""The schedule for everything without a rule of its own: inline, fuse, parallel, vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.expressions import mentions
from optima.kernels.schedule.inline import inline_cheap
from optima.kernels.schedule.lanes import fold_by_lanes, unroll_tile, vectorize_partials
from optima.kernels.schedule.structure import (
    NotApplicable,
    at_own_element,
    divisors,
    extent,
    fuse_parallel,
    is_reduction,
    is_spatial,
    name_of,
    split_axes,
    stages,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget

#: partial results that a reduction keeps per lane: hides the FMA latency of four cycles
_UNROLLED_VECTORS = 4


def apply(sch: Any, target: CpuTarget, done: set[str]) -> set[str]:
    """Schedule every stage that is not ``done`` on its own, after inlining what costs nothing to compute again."""
    inline_cheap(sch, done)
    rest = [b for b in stages(sch) if name_of(sch, b) not in done]
    for block in rest:
        schedule_stage(sch, block, target)
    return {name_of(sch, b) for b in rest}


def schedule_stage(sch: Any, block: Any, target: CpuTarget) -> None:
    """Schedule one stage; a stage that is not an affine loop nest stays as TE made it."""
    if not sch.get_loops(block):
        return
    try:
        if is_spatial(sch, block):
            spatial_stage(sch, block, target)
        elif is_reduction(sch, block):
            reduction_stage(sch, block, target)
    except NotApplicable:
        return


def spatial_stage(sch: Any, block: Any, target: CpuTarget) -> None:
    """Outer loops fused and parallel, the contiguous axis as vectors where it divides into them."""
    work = work_of(sch, block)
    loops, _ = split_axes(sch, block)
    lanes = target.lanes
    if len(loops) > 1 and reads_only_own_element(sch, block):
        loops = [sch.fuse(*loops)]
    inner = extent(sch, loops[-1])
    if len(loops) == 1 and inner % lanes == 0 and inner > lanes:
        # One flat loop: pieces big enough that a thread's share is a plain vector loop.
        piece = max(d for d in divisors(inner // lanes) if d <= 64)
        loops = list(sch.split(loops[0], [None, piece, lanes]))
        sch.vectorize(loops[-1])
        fuse_parallel(sch, loops[:1], work)
        return
    if len(loops) == 1:
        return
    if inner % lanes == 0:
        outer, vector = sch.split(loops[-1], [None, lanes])
        sch.vectorize(vector)
    fuse_parallel(sch, loops[:-1], work)


def reduction_stage(sch: Any, block: Any, target: CpuTarget) -> None:
    """Spatial loops parallel outside, reduction inside; vectors along whichever axis is contiguous in memory."""
    work = work_of(sch, block)
    spatial, reduction = split_axes(sch, block)
    if not spatial:
        return
    inner = extent(sch, spatial[-1])
    if inner % target.lanes == 0 and not reduction_is_contiguous(sch, block):
        vectors = max(d for d in divisors(inner // target.lanes) if d <= _UNROLLED_VECTORS)
        outer, unrolled, vector = sch.split(spatial[-1], [None, vectors, target.lanes])
        sch.reorder(*spatial[:-1], outer, *reduction, unrolled, vector)
        at = fuse_parallel(sch, [*spatial[:-1], outer], work)
        # Before the start is split off: then the update alone is no reduction to TVM.
        sch.vectorize(vector)
        sch.unroll(unrolled)
        unroll_tile(sch, sch.decompose_reduction(block, reduction[0]), at)
        return
    if reduction_is_contiguous(sch, block):
        parts = fold_by_lanes(sch, block, target)
        if len(parts) == 2:
            outer = fuse_parallel(sch, sch.get_loops(block)[: len(spatial)], work)
            sch.compute_at(parts[0], outer, preserve_unit_loops=True)
            vectorize_partials(sch, parts[0], outer)
            return
    sch.reorder(*spatial, *reduction)
    fuse_parallel(sch, spatial, work)


def reads_only_own_element(sch: Any, block: Any) -> bool:
    """Whether every operand is read exactly at the written position (or is a scalar), so loops may be fused."""
    node = sch.get(block)
    axes = [v.var for v in node.iter_vars]
    out = node.writes[0].source
    if not at_own_element(node.writes[0], axes):
        return False
    for read in node.reads:
        if len(read.region) == 0 or all(int(d) == 1 for d in read.source.shape):
            continue
        if [int(d) for d in read.source.shape] != [int(d) for d in out.shape] or not at_own_element(read, axes):
            return False
    return True


def reduction_is_contiguous(sch: Any, block: Any) -> bool:
    """Whether some operand's last index moves with a reduction axis: vectors then go along the reduction."""
    node = sch.get(block)
    folded = [v.var for v in node.iter_vars if int(v.iter_type) == 2]
    return any(len(r.region) and mentions(r.region[-1].min, folded) for r in node.reads)
