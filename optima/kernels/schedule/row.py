"""Softmax and normalisations: all stages of a row inside one parallel loop over rows, so that it stays in cache.

A fold along the contiguous axis keeps one partial result per lane (``rfactor``), which LLVM may not do by itself:
it changes the order of a float sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.structure import (
    NotApplicable,
    extent,
    fuse_parallel,
    is_reduction,
    is_spatial,
    name_of,
    rule_of,
    split_axes,
    stages,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.target import CpuTarget


def apply(sch: Any, anchor: Any, target: CpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the run of row stages that begins with ``anchor``."""
    cluster = _cluster(sch, anchor, done)
    depth = _row_axes(sch, cluster)
    last = cluster[-1]
    work = sum(work_of(sch, b) for b in cluster)
    parts: list[Any] = []
    for block in cluster[:-1]:
        parts += _lanes(sch, block, target)
    tail = _lanes(sch, last, target)
    row = fuse_parallel(sch, sch.get_loops(tail[-1])[:depth], work)
    for block in reversed([*parts, *tail[:-1]]):
        sch.compute_at(block, row, preserve_unit_loops=True)
    starts: list[Any] = []
    for block in (*parts, *tail):
        starts += _vectorize(sch, block, row, target)
    return {name_of(sch, b) for b in (*parts, *tail, *starts)}


def _cluster(sch: Any, anchor: Any, done: frozenset[str]) -> list[Any]:
    """``anchor`` and the stages behind it that work row by row, up to the first that does not."""
    names = [name_of(sch, b) for b in stages(sch)]
    begin = names.index(name_of(sch, anchor))
    cluster: list[Any] = []
    for block in stages(sch)[begin:]:
        joins = rule_of(sch, block) == "row" or (is_spatial(sch, block) and rule_of(sch, block) == "")
        if not joins or name_of(sch, block) in done:
            break
        cluster.append(block)
    if not any(is_reduction(sch, b) for b in cluster):
        raise NotApplicable("no row is folded")
    return _closed(sch, cluster)


def _closed(sch: Any, cluster: list[Any]) -> list[Any]:
    """The longest beginning of ``cluster`` of which only the last stage is read outside."""
    for end in range(len(cluster), 0, -1):
        inside = {name_of(sch, b) for b in cluster[:end]}
        open_ends = [
            b
            for b in cluster[: end - 1]
            if not (readers := list(sch.get_consumers(b))) or any(name_of(sch, r) not in inside for r in readers)
        ]
        if not open_ends and any(is_reduction(sch, b) for b in cluster[:end]):
            return cluster[:end]
    raise NotApplicable("the row's stages have several results")


def _row_axes(sch: Any, cluster: list[Any]) -> int:
    """How many leading loops all stages share: the rows."""
    extents: list[list[int]] = []
    for block in cluster:
        spatial, _ = split_axes(sch, block)
        extents.append([extent(sch, loop) for loop in spatial])
    folds = [e for e, b in zip(extents, cluster, strict=True) if is_reduction(sch, b)]
    rows = list(folds[0])
    while rows and rows[-1] == 1:
        rows.pop()
    if not rows or any(e[: len(rows)] != rows for e in extents):
        raise NotApplicable("stages disagree on what a row is")
    return len(rows)


def _lanes(sch: Any, block: Any, target: CpuTarget) -> list[Any]:
    """A float fold along a contiguous axis as (partial results per lane, their fold); else the block alone."""
    node = sch.get(block)
    if not is_reduction(sch, block) or len(node.writes) != 1:
        return [block]
    _, reduction = split_axes(sch, block)
    length = extent(sch, reduction[-1])
    lanes = target.lanes
    if length % lanes or length < 2 * lanes:
        return [block]
    _, lane = sch.split(reduction[-1], [None, lanes])
    return [sch.rfactor(lane, factor_axis=len(node.writes[0].source.shape)), block]


def _vectorize(sch: Any, block: Any, row: Any, target: CpuTarget) -> list[Any]:
    """Vectors along the last data-parallel loop inside the row, where it divides into them; returns new blocks."""
    loops = sch.get_loops(block)
    outer = sch.get(row).loop_var
    depth = next(i for i, loop in enumerate(loops) if sch.get(loop).loop_var.same_as(outer))
    inside = loops[depth + 1 :]
    if not inside:
        return []
    last, length = inside[-1], extent(sch, inside[-1])
    if is_spatial(sch, block):
        if length % target.lanes == 0:
            _, vector = sch.split(last, [None, target.lanes])
            sch.vectorize(vector)
        return []
    starts: list[Any] = []
    if length == target.lanes and sch.get(block).name_hint.endswith("_rf"):
        folds = [loop for loop in inside[:-1] if extent(sch, loop) > 1]
        if folds:
            starts.append(sch.decompose_reduction(block, folds[0]))
            sch.vectorize(sch.get_loops(starts[0])[-1])
        sch.vectorize(last)
    return starts
