"""First cut: Kahn's algorithm by device. Drain one device's ready ops wholly, then switch to another device.

Every acyclic split is a sequence of devices along which the graph can be drained, and draining greedily
along a sequence never finishes later than any other way to follow it. So the fewest subgraphs equal the
length of the shortest such sequence: for two devices an alternation, for more a shortest common
supersequence of the device strings along all paths, which is NP-hard in general (D. Maier, J. ACM 25(2),
1978). The rule used here is the critical path (T. C. Hu, Operations Research 9(6), 1961): drain the device
that holds the op with the most device changes still below it. Exact for two devices, close to the optimum
for more (docs/partitioning.md).
"""

from __future__ import annotations

import heapq

from optima.partition.flow import Flow

#: how many devices are tried as the first one; each try costs one pass over the graph
STARTS = 3


def changes_below(flow: Flow) -> list[int]:
    """For each op the most device changes on any path that starts at it. Time O(V+E)."""
    device, succs = flow.device, flow.succs
    height = [0] * len(device)
    for v in range(len(device) - 1, -1, -1):
        own, best = device[v], 0
        for s in succs[v]:
            below = height[s] + (device[s] != own)
            if below > best:
                best = below
        height[v] = best
    return height


def cut_waves(flow: Flow) -> list[list[int]]:
    """The shortest of a few drainings: parts in execution order, each a list of ops of one device list.

    Tries the devices that can start, tallest first and at most ``STARTS`` of them, and stops at once when the
    lower bound (changes on the worst path plus one, or the number of devices) is met. Time O(V log V + E).
    """
    height = changes_below(flow)
    fewest = max(max(height, default=-1) + 1, flow.device_count)
    best: list[list[int]] = []
    for start in _starts(flow, height):
        waves = _drain(flow, height, start)
        if not best or len(waves) < len(best):
            best = waves
        if len(best) == fewest:
            break
    return best


def _starts(flow: Flow, height: list[int]) -> list[int]:
    tallest: dict[int, int] = {}
    for v, preds in enumerate(flow.preds):
        if not preds:
            tallest[flow.device[v]] = max(tallest.get(flow.device[v], 0), height[v])
    return sorted(tallest, key=lambda d: (-tallest[d], d))[:STARTS]


def _drain(flow: Flow, height: list[int], start: int) -> list[list[int]]:
    device, succs = flow.device, flow.succs
    waiting = [len(p) for p in flow.preds]
    ready: list[list[int]] = [[] for _ in range(flow.device_count)]
    tallest = [-1] * flow.device_count
    agenda: list[tuple[int, int]] = []  # heap of (-tallest, device); an entry that is out of date is skipped

    def make_ready(v: int) -> None:
        d = device[v]
        ready[d].append(v)
        if height[v] > tallest[d]:
            tallest[d] = height[v]
            heapq.heappush(agenda, (-height[v], d))

    for v, count in enumerate(waiting):
        if not count:
            make_ready(v)
    heapq.heappush(agenda, (-len(device) - 1, start))
    waves: list[list[int]] = []
    while agenda:
        d = heapq.heappop(agenda)[1]
        wave = ready[d]
        if not wave:
            continue
        for v in wave:  # it is ready[d] itself and grows while it is walked: the device is drained wholly
            for s in succs[v]:
                waiting[s] -= 1
                if not waiting[s]:
                    make_ready(s)
        waves.append(wave)
        ready[d], tallest[d] = [], -1
    return waves
