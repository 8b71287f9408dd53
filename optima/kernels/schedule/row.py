"""Softmax and normalisations: all stages of a row inside one parallel loop over rows, so that it stays in cache.

A row's folds keep one partial result per lane (``schedule.lanes``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.schedule.lanes import fold_by_lanes, loops_below, vectorize_partials
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
    cluster = cluster_of(sch, anchor, done)
    depth = row_axes(sch, cluster)
    last = cluster[-1]
    work = sum(work_of(sch, b) for b in cluster)
    parts: list[Any] = []
    for block in cluster[:-1]:
        parts += fold_by_lanes(sch, block, target)
    tail = fold_by_lanes(sch, last, target)
    row = fuse_parallel(sch, sch.get_loops(tail[-1])[:depth], work)
    for block in reversed([*parts, *tail[:-1]]):
        sch.compute_at(block, row, preserve_unit_loops=True)
    starts: list[Any] = []
    for block in (*parts, *tail):
        if not is_spatial(sch, block):
            if name_of(sch, block).endswith("_rf"):
                starts += vectorize_partials(sch, block, row)
        elif (inside := loops_below(sch, block, row)) and extent(sch, inside[-1]) % target.lanes == 0:
            sch.vectorize(sch.split(inside[-1], [None, target.lanes])[1])
    return {name_of(sch, b) for b in (*parts, *tail, *starts)}


def cluster_of(sch: Any, anchor: Any, done: frozenset[str]) -> list[Any]:
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


def row_axes(sch: Any, cluster: list[Any]) -> int:
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
