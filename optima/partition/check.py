"""The last word on a split, independent of how it was found: works from op names and tensors alone."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from devices import InternalError, Problem
from optima.graph import Graph, Op


def execution_order(graph: Graph, parts: Sequence[Sequence[Op]]) -> list[int]:
    """Check ``parts`` and return their numbers in an order in which they can run, lowest part number first.

    Raises InternalError if an op is in no part or in two, if a part mixes device lists or is empty, or if
    parts wait for each other; the error then shows the circle, tensor by tensor.
    """
    part_of = _check_cover(graph, parts)
    waiting = [0] * len(parts)
    readers: list[list[int]] = [[] for _ in parts]
    for source, target in _crossings(graph, part_of, len(parts)):
        readers[source].append(target)
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
            problems=_circle(graph, parts, part_of, {i for i, count in enumerate(waiting) if count}),
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
                first = f"{part[0].name} in its part is on {_text(part[0])}"
                problems.append(op.problem(f"is on {_text(op)}, but {first}"))
            part_of[op.name] = i
    problems += [op.problem("is in no part") for op in graph.ops if op.name not in part_of]
    if problems:
        raise InternalError("the split does not hold every op exactly once", problems=problems)
    return part_of


def _crossings(graph: Graph, part_of: dict[str, int], parts: int) -> Iterator[tuple[int, int]]:
    """Each (source part, target part) between which a tensor crosses, once."""
    part_made_by = {out: part_of[op.name] for op in graph.ops for out in op.outputs}
    seen: set[int] = set()
    for reader in graph.ops:
        target = part_of[reader.name]
        for tensor in reader.inputs:
            source = part_made_by.get(tensor, target)
            if source != target and source * parts + target not in seen:
                seen.add(source * parts + target)
                yield source, target


def _circle(
    graph: Graph, parts: Sequence[Sequence[Op]], part_of: dict[str, int], stuck: set[int]
) -> list[Problem]:
    """One circle among the parts that never became ready, as rows in the order of the data."""
    made_by = {out: op for op in graph.ops for out in op.outputs}
    wait: dict[int, tuple[int, Problem]] = {}  # part -> a part that it waits for, and for which tensor
    for reader in graph.ops:
        target = part_of[reader.name]
        for tensor in reader.inputs:
            source = part_of[made_by[tensor].name] if tensor in made_by else target
            if source != target and {source, target} <= stuck:
                here, there = (f"in part {i} on {_text(parts[i][0])}" for i in (source, target))
                row = Problem(tensor, f"from {made_by[tensor].name} {here} to {reader.name} {there}")
                wait.setdefault(target, (source, row))
    walk: dict[int, Problem] = {}
    i = min(stuck)
    while i not in walk:  # each stuck part waits for another stuck part, so the walk back must close
        source, walk[i] = wait[i]
        i = source
    rows = list(walk.values())
    return rows[list(walk).index(i) :][::-1]


def _text(op: Op) -> str:
    return ", ".join(map(str, op.devices)) or "no device"
