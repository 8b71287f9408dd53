"""Second step: merge parts of one device until no two of them can be merged without a cycle.

Parts stand in a topological order of the quotient graph (parts as nodes). Two parts ``a`` before ``b`` of one
device can be merged if and only if no path from ``a`` to ``b`` passes through a third part; such a path is
called a *detour*.

**One sweep per device.** Walk the order from left to right with a current group ``g``, and mark each part
of another device that depends on ``g`` or on a marked part. The next part ``p`` of the device has a detour
from ``g`` if and only if it depends on a marked part. If it has none it joins ``g``; else it starts the
next group and the marks are forgotten. Afterwards, between the place of ``g`` and the next group, the
unmarked parts go before ``g`` and the marked ones after it: no unmarked part depends on ``g`` or on a
marked one, no member of ``g`` depends on a marked one, so the new order is topological again, and the
merged quotient is acyclic.

**Nothing is left to merge.** After the sweep of a device, neighbours ``g_i, g_i+1`` in its chain have a
detour, and it passes through a part of *another* device, for no part of this one stands between them.
Chaining detours gives one for every pair ``g_i, g_j``. Sweeps of other devices only contract parts of those
devices: a detour keeps its ends and still passes through a part of another device. So one sweep per device
is enough.

**Time** O(P+E) for each device that has two parts or more, P parts and E edges between them: every part is
looked at once per sweep, whatever the windows.
"""

from __future__ import annotations

from collections.abc import Sequence

from optima.partition.flow import Flow


def merge_parts(flow: Flow, parts: Sequence[list[int]]) -> list[list[int]]:
    """``parts`` (op numbers, one device list each, in topological order) merged until no two can be.

    The result is in topological order too; the ops of each part are in canonical order.
    """
    merged = [list(part) for part in parts]
    device = [flow.device[part[0]] for part in merged]
    preds = _quotient(flow, merged)
    for d in range(flow.device_count):
        if device.count(d) < 2:
            continue
        groups = _sweep(device, preds, d)
        if len(groups) == len(merged):
            continue
        place = {old: new for new, group in enumerate(groups) for old in group}
        merged = [[v for old in group for v in merged[old]] for group in groups]
        device = [device[group[0]] for group in groups]
        preds = [
            [q for q in dict.fromkeys(place[old] for member in group for old in preds[member]) if q != new]
            for new, group in enumerate(groups)
        ]
    return [sorted(part) for part in merged]


def _quotient(flow: Flow, parts: Sequence[list[int]]) -> list[list[int]]:
    """For each part the parts that it reads from, each once."""
    part_of = [0] * len(flow.ops)
    for i, part in enumerate(parts):
        for v in part:
            part_of[v] = i
    result: list[list[int]] = []
    for i, part in enumerate(parts):
        sources = dict.fromkeys(part_of[u] for v in part for u in flow.preds[v])
        sources.pop(i, None)
        result.append(list(sources))
    return result


def _sweep(device: list[int], preds: list[list[int]], d: int) -> list[list[int]]:
    """One sweep for device ``d``: groups of part numbers, in the new topological order."""
    order: list[list[int]] = []
    group: list[int] = []
    later: list[list[int]] = []  # the marked parts since the group began
    MEMBER, BELOW = 1, 2
    mark: dict[int, int] = {}
    before: list[list[int]] = []
    for p, sources in enumerate(preds):
        if device[p] == d:
            if group and any(mark.get(q) == BELOW for q in sources):
                order += [*before, group, *later]
                group, before, later, mark = [], [], [], {}
            group.append(p)
            mark[p] = MEMBER
        elif any(q in mark for q in sources):
            mark[p] = BELOW
            later.append([p])
        else:
            before.append([p])
    return [*order, *before, group, *later]
