"""Which subgraphs of a request may run at the same time, and running them so.

Every GPU and NPU has a lane: a thread of the process that its subgraphs of all requests pass through, one after the
other. Subgraphs on the CPU run on the request's own thread, since each already uses the cores. A subgraph is handed to
its lane when everything that it reads is there; nothing ever waits inside a lane.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices import DeviceRef, Family
from optima.artifact.manifest import SubgraphMeta
from optima.runtime.dispatch import submit_to_lane


@dataclass(frozen=True)
class Schedule:
    """By subgraph: how many others it waits for, who waits for it, and its lane ("": the request's own thread).

    ``concurrent``: some two of them may run at the same time.
    """

    needs: tuple[int, ...]
    followers: tuple[tuple[int, ...], ...]
    lanes: tuple[str, ...]
    concurrent: bool


def schedule_of(parts: Sequence[SubgraphMeta], devices: Sequence[DeviceRef]) -> Schedule:
    """The schedule of subgraphs given in an order in which each reads only what earlier ones make."""
    maker = {name: k for k, part in enumerate(parts) for name in part.outputs}
    reads = [sorted({maker[n] for n in part.inputs if n in maker}) for part in parts]
    lanes = tuple("" if device.kind.family is Family.CPU else str(device) for device in devices)
    followers = tuple(tuple(k for k, read in enumerate(reads) if me in read) for me in range(len(parts)))
    return Schedule(tuple(map(len, reads)), followers, lanes, _has_pair(reads, lanes))


def _has_pair(reads: Sequence[Sequence[int]], lanes: Sequence[str]) -> bool:
    """Whether two subgraphs of different lanes do not depend on each other, even through others."""
    before: list[set[int]] = []
    for k, read in enumerate(reads):
        before.append(set(read).union(*(before[i] for i in read)))
        if any(lanes[i] != lanes[k] for i in range(k) if i not in before[k]):
            return True
    return False


def run_all(schedule: Schedule, run: Callable[[int], None]) -> None:
    """Call ``run(subgraph)`` for each, in an order that the schedule allows.

    After an exception nothing more is started, and it is raised when whatever still runs has ended: until then
    the request's buffers are in use.
    """
    waiting = list(schedule.needs)
    news: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
    mine = [k for k, count in enumerate(waiting) if count == 0]
    running, error = 0, None

    def on_lane(step: int) -> None:
        news.put((step, _outcome(run, step)))

    while mine or running:
        for step in [k for k in mine if schedule.lanes[k]]:
            mine.remove(step)
            submit_to_lane(schedule.lanes[step], lambda step=step: on_lane(step))  # type: ignore[misc]
            running += 1
        if mine:
            step = mine.pop(0)
            failed = _outcome(run, step)
        else:
            step, failed = news.get()
            running -= 1
        error = error or failed
        if error is not None:
            mine = []
            continue
        for follower in schedule.followers[step]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                mine.append(follower)
    if error is not None:
        raise error


def _outcome(run: Callable[[int], None], step: int) -> BaseException | None:
    try:
        run(step)
    # It belongs to the request's thread, which raises it.
    except BaseException as error:  # noqa: BLE001
        return error
    return None
