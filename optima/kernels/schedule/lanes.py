"""A fold along the contiguous axis as one partial result per lane: LLVM may not reorder a float sum by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.structure import extent, is_reduction, split_axes

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget


def fold_by_lanes(sch: Any, block: Any, target: CpuTarget) -> list[Any]:
    """[partial results per lane, their fold] where the last folded axis divides into vectors; else [block].

    A fold with several results (argmax) keeps its order: its combiner may ask which came first.
    """
    node = sch.get(block)
    if not is_reduction(sch, block) or len(node.writes) != 1:
        return [block]
    _, reduction = split_axes(sch, block)
    length = extent(sch, reduction[-1])
    if length % target.lanes or length < 2 * target.lanes:
        return [block]
    _, lane = sch.split(reduction[-1], [None, target.lanes])
    return [sch.rfactor(lane, factor_axis=len(node.writes[0].source.shape)), block]


def vectorize_partials(sch: Any, partials: Any, below: Any) -> list[Any]:
    """Vectorise the per-lane block that ``fold_by_lanes`` made, inside the loop ``below``; returns its start block."""
    # Moved blocks get their loops in the order of their axes, and rfactor puts the lane first.
    lane, *rest = loops_below(sch, partials, below)
    sch.reorder(*rest, lane)
    sch.vectorize(lane)  # before the start is split off: then the update alone is no reduction to TVM
    # In front of all loops, since one of a single iteration may be a fold, too.
    folds = any(extent(sch, loop) > 1 for loop in rest)
    starts = [sch.decompose_reduction(partials, rest[0])] if folds else []
    for start in starts:
        loop = sch.get_loops(start)[-1]
        if int(sch.get(loop).kind) == 0:
            sch.vectorize(loop)
    return starts


def unroll_tile(sch: Any, block: Any, below: Any) -> None:
    """Vectorise the innermost loop of ``block`` and unroll those between it and the loop ``below``."""
    inside = loops_below(sch, block, below)
    if not inside:
        return
    sch.vectorize(inside[-1])
    for loop in inside[:-1]:
        sch.unroll(loop)


def loops_below(sch: Any, block: Any, outer: Any) -> list[Any]:
    """The loops around ``block`` that stand inside the loop ``outer``."""
    loops = sch.get_loops(block)
    variable = sch.get(outer).loop_var
    depth = next(i for i, loop in enumerate(loops) if sch.get(loop).loop_var.same_as(variable))
    return list(loops[depth + 1 :])
