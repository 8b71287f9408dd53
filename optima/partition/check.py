"""The last word on a split, independent of how it was found: works from op names and tensors alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from devices import InternalError, Problem
from optima.graph import Graph, Op


def execution_order(graph: Graph, parts: Sequence[Sequence[Op]]) -> list[int]:
    """Check ``parts`` and return their numbers in an order in which they can run, lowest part number first.

    Raises InternalError if an op is in no part or in two, if a part mixes device lists or is empty, or if parts
    wait for each other; the error then shows the circle, tensor by tensor.
    """
    part_of = _check_cover(graph, parts)
    crossings = _crossings(graph, part_of)
    waiting = [0] * len(parts)
    readers: list[dict[int, None]] = [{} for _ in parts]
    for source, target in crossings:
        readers[source][target] = None
        waiting[target] += 1
    ready = [i for i, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in readers[i]:
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(ready, j)
    if len(order) < len(parts):
        raise InternalError(
            "the split is cyclic: these subgraphs wait for each other",
            problems=_circle(parts, crossings, {i for i, count in enumerate(waiting) if count}),
        )
    return order


def _check_cover(graph: Graph, parts: Sequence[Sequence[Op]]) -> dict[str, int]:
    problems: list[Problem] = []
    part_of: dict[str, int] = {}
    for i, part in enumerate(parts):
        if not part:
            problems.append(Problem(f"part {i}", "is empty"))
        for op in part:
            if op.name in part_of:
                problems.append(op.problem(f"is in part {part_of[op.name]} and in part {i}"))
            if op.devices != part[0].devices:
                problems.append(op.problem(f"is on {_text(op)}, but {part[0].name} in its part on {_text(part[0])}"))
            part_of[op.name] = i
    problems += [op.problem("is in no part") for op in graph.ops if op.name not in part_of]
    if problems:
        raise InternalError("the split does not hold every op exactly once", problems=problems)
    return part_of


def _crossings(graph: Graph, part_of: dict[str, int]) -> dict[tuple[int, int], tuple[str, Op, Op]]:
    """(source part, target part) -> one tensor that crosses, with its producer and its reader."""
    made_by = {out: op for op in graph.ops for out in op.outputs}
    found: dict[tuple[int, int], tuple[str, Op, Op]] = {}
    for reader in graph.ops:
        target = part_of[reader.name]
        for tensor in reader.inputs:
            maker = made_by.get(tensor)
            if maker is not None and part_of[maker.name] != target:
                found.setdefault((part_of[maker.name], target), (tensor, maker, reader))
    return found


def _circle(
    parts: Sequence[Sequence[Op]], crossings: dict[tuple[int, int], tuple[str, Op, Op]], stuck: set[int]
) -> list[Problem]:
    """One circle among the parts that never became ready, as rows in the order of the data."""
    source_of: dict[int, int] = {}
    for source, target in sorted(crossings):
        if source in stuck and target in stuck:
            source_of.setdefault(target, source)
    walk: dict[int, None] = {}
    i = min(stuck)
    while i not in walk:  # each stuck part waits for another stuck part, so the walk back must close
        walk[i] = None
        i = source_of[i]
    trail = list(walk)
    circle = [i, *reversed(trail[trail.index(i) :])]
    rows: list[Problem] = []
    for source, target in zip(circle, circle[1:], strict=False):
        tensor, maker, reader = crossings[source, target]
        rows.append(
            Problem(
                tensor,
                f"from {maker.name} in part {source} on {_text(parts[source][0])} "
                f"to {reader.name} in part {target} on {_text(parts[target][0])}",
            )
        )
    return rows


def _text(op: Op) -> str:
    return ", ".join(map(str, op.devices)) or "no device"
