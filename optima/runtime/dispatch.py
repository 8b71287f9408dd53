"""Who runs requests: a few dispatch threads per process, and a gate for as many as there are cores.

Kernels run on the caller's thread and the native pool's workers. Without the gate a hundred callers would be
a hundred threads that compute at once, each with buffers of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from optima.native import available_cores


class _Dispatch:
    """The process's threads and gate. A fork's child makes its own: threads do not survive the fork."""

    def __init__(self) -> None:
        cores = available_cores()
        self.gate = threading.BoundedSemaphore(cores)
        # Two at least, so that a callback of one request does not hold up every other.
        self.threads = ThreadPoolExecutor(max(2, cores), thread_name_prefix="optima-dispatch")
        self.lanes: dict[str, ThreadPoolExecutor] = {}
        self.lock = threading.Lock()

    def lane(self, name: str) -> ThreadPoolExecutor:
        """The one thread of a device."""
        with self.lock:
            if name not in self.lanes:
                self.lanes[name] = ThreadPoolExecutor(1, thread_name_prefix=f"optima-{name}")
            return self.lanes[name]


_current = _Dispatch()


def _after_fork() -> None:
    global _current
    _current = _Dispatch()


os.register_at_fork(after_in_child=_after_fork)


def gate() -> threading.BoundedSemaphore:
    """Held by a thread while it computes."""
    return _current.gate


def submit(work: Callable[[], None]) -> None:
    """Run ``work`` on a dispatch thread. It must handle its own exceptions."""
    _current.threads.submit(work)


def submit_to_lane(name: str, work: Callable[[], None]) -> None:
    """Run ``work`` on a device's own thread, after what was submitted before. It must handle its own exceptions."""
    _current.lane(name).submit(work)
