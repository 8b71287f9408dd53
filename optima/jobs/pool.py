"""Runs compile jobs: what the cache lacks goes to worker processes, each distinct job once."""

from __future__ import annotations

import atexit
import importlib
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optima.backends.base import Job
from optima.jobs.cache import Cache
from optima.jobs.failure import Failure, compile_error
from optima.jobs.process import Spawner, Worker, import_paths
from optima.jobs.progress import progress_bar
from optima.jobs.protocol import RESULT
from optima.jobs.request import pack


@dataclass(frozen=True)
class JobResults:
    """``results``: bytes by job key. ``compiled`` and ``cached`` count distinct jobs, ``workers`` processes.

    ``seconds``: time in ``lookup`` (reading the cache), ``compile`` (all workers together, by the wall clock)
    and ``store`` (writing the cache, within ``compile``).
    """

    results: dict[str, bytes]
    compiled: int
    cached: int
    workers: int
    seconds: dict[str, float]


def run_jobs(
    jobs: Sequence[Job], workers: int = 0, cache: Cache | None = None, progress: bool | None = None
) -> JobResults:
    """Run every job and return its bytes. Jobs with equal keys run once; cached ones do not run.

    ``workers``: processes at most; 0 for one per core that this process may use. ``progress``: a progress bar
    on standard error; None shows it on a terminal only. Raises KernelCompileError when jobs failed, after all
    others were finished and stored; WorkerStartError when no process can be started, and
    what a ``preflight`` raises before any job has run.
    """
    distinct = _distinct(jobs)
    began = time.perf_counter()
    results = {key: data for key in distinct if cache is not None and (data := cache.get(key)) is not None}
    missing = [job for key, job in distinct.items() if key not in results]
    seconds = {"lookup": time.perf_counter() - began, "compile": 0.0, "store": 0.0}
    cached, used = len(results), 0
    if missing:
        for name in dict.fromkeys(job.preflight for job in missing if job.preflight):
            module, _, function = name.partition(":")
            getattr(importlib.import_module(module), function)()
        began = time.perf_counter()
        used = min(len(missing), workers if workers > 0 else cores())
        with progress_bar(len(missing), progress) as advance:
            run = _Run(missing, cache, advance)
            run.to_the_end(used)
        seconds |= {"compile": time.perf_counter() - began, "store": run.store_s}
        if run.failures:
            raise compile_error(run.failures)
        results |= run.results
    return JobResults({key: results[key] for key in distinct}, len(missing), cached, used, seconds)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def stop_workers() -> None:
    """End the idle worker processes; the next call starts new ones. Called at exit."""
    _POOL.stop()


def _distinct(jobs: Sequence[Job]) -> dict[str, Job]:
    """One job per key, in order of first occurrence, with the ops of all its doubles."""
    found: dict[str, Job] = {}
    for job in jobs:
        first = found.get(job.key)
        ops = job.ops if first is None else tuple(dict.fromkeys((*first.ops, *job.ops)))
        found[job.key] = replace(first or job, ops=ops)
    return found


class _Run:
    """One call's jobs on their way through the workers."""

    def __init__(self, jobs: Sequence[Job], cache: Cache | None, advance: Callable[[], None]) -> None:
        self.pending = deque(jobs)
        self.results: dict[str, bytes] = {}
        self.failures: list[Failure] = []
        self.store_s = 0.0
        self._cache = cache
        self._advance = advance
        self._busy: dict[Worker, Job] = {}
        self._idle: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._paths = import_paths()
        self._tried_again: set[str] = set()

    def to_the_end(self, workers: int) -> None:
        """Finish or fail every job. An exception on the way, Ctrl-C included, kills this run's workers."""
        try:
            self._idle = _POOL.take(min(workers, len(self.pending)))
            while self.pending or self._busy:
                self._hand_out(workers)
                for event, _ in self._selector.select():
                    self._hear(event.data)
        except BaseException:
            for worker in (*self._idle, *self._busy):
                worker.kill()
            raise
        finally:
            self._selector.close()
        _POOL.give(self._idle)

    def _hand_out(self, workers: int) -> None:
        while self.pending and len(self._busy) < workers:
            job = self.pending.popleft()
            request = pack(job, self._paths)
            if isinstance(request, Failure):
                self._fail(request)
                continue
            if not self._idle:
                self._idle = _POOL.take(1)
            worker = self._idle.pop()
            self._busy[worker] = job
            self._selector.register(worker, selectors.EVENT_READ, worker)
            try:
                worker.send(request)
            except BrokenPipeError:
                if not worker.started:
                    raise worker.start_error() from None
                self._bury(worker)

    def _hear(self, worker: Worker) -> None:
        job = self._busy[worker]
        try:
            frame = worker.receive()
        except EOFError:
            self._bury(worker)
            return
        if frame is None:
            return
        self._selector.unregister(worker)
        del self._busy[worker]
        self._idle.append(worker)
        tag, content = frame
        if tag == RESULT:
            self._finish(job, content)
        else:
            self._fail(Failure.of_exception(job, content, worker.last_words()))

    def _bury(self, worker: Worker) -> None:
        """Its job failed; unless it died while it waited for one, then another worker gets the job, once."""
        self._selector.unregister(worker)
        job = self._busy.pop(worker)
        worker.kill()
        if worker.working or job.key in self._tried_again:
            self._fail(Failure.of_death(job, worker.end(), worker.last_words()))
        else:
            self._tried_again.add(job.key)
            self.pending.appendleft(job)

    def _finish(self, job: Job, data: bytes) -> None:
        self.results[job.key] = data
        if self._cache is not None:
            began = time.perf_counter()
            self._cache.put(job.key, data)
            self.store_s += time.perf_counter() - began
        self._advance()

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._advance()


class _Pool:
    """Workers that wait for the next call. Calls from several threads each take workers of their own."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._spawner = Spawner()

    def take(self, count: int) -> list[Worker]:
        """``count`` workers, warm ones first."""
        taken: list[Worker] = []
        try:
            while len(taken) < count:
                with self._lock:
                    worker = self._idle.pop() if self._idle else None
                if worker is None:
                    taken.append(self._spawner.start())
                elif worker.alive:
                    taken.append(worker)
                else:
                    worker.kill()
        except BaseException:
            self.give(taken)
            raise
        return taken

    def give(self, workers: Sequence[Worker]) -> None:
        """Take back idle workers; keeps one per core."""
        with self._lock:
            room = max(0, cores() - len(self._idle))
            self._idle.extend(workers[:room])
        for worker in workers[room:]:
            worker.kill()

    def stop(self) -> None:
        """End all idle workers."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.kill()

    def forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        for worker in self._idle:
            worker.forget()


_POOL = _Pool()


def _after_fork() -> None:
    global _POOL
    # A new one, because a thread that is not in the child may have held the old one's lock.
    _POOL.forget()
    _POOL = _Pool()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(stop_workers)
