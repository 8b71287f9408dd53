"""The worker pool: every task once, whoever calls; bounded threads; nested loops inline; errors; fork."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import UserError
from optima.native import Call, Kernel, Operand, Pool, Program, aligned_empty
from optima.native.library import LAMBDA, last_error, library
from tests.native import kernels


class Env(ctypes.Structure):
    _fields_ = [("sync_handle", ctypes.c_void_p), ("num_task", ctypes.c_int32)]  # noqa: RUF012


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[Pool]:
    pool = Pool()
    before = pool.threads
    pool.threads = 4
    yield pool
    pool.threads = before


def launch(body: Callable[[int, int], int], num_task: int) -> int:
    """Run ``body(task, num_task)`` as a parallel loop."""

    def function(task: int, env: int, cdata: Any) -> int:
        return body(task, Env.from_address(env).num_task)

    code: int = library().optima_parallel_launch(LAMBDA(function), None, num_task)
    return code


def threads_of_this_process() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize("num_task", [1, 2, 3, 4, 7, 64, 500])
def test_every_task_runs_once(num_task: int) -> None:
    seen: list[tuple[int, int]] = []

    def body(task: int, total: int) -> int:
        seen.append((task, total))
        return 0

    for _ in range(5):
        seen.clear()
        assert launch(body, num_task) == 0
        assert sorted(seen) == [(i, num_task) for i in range(num_task)]


def test_no_number_means_one_task_per_thread(four_threads: Pool) -> None:
    totals: list[int] = []
    launch(lambda task, total: totals.append(total) or 0, 0)  # type: ignore[func-returns-value]
    assert totals == [4, 4, 4, 4]
    four_threads.threads = 1
    totals.clear()
    launch(lambda task, total: totals.append(total) or 0, 0)  # type: ignore[func-returns-value]
    assert totals == [1]


def test_workers_take_part() -> None:
    barrier = threading.Barrier(2)
    met: list[bool] = []

    def body(task: int, total: int) -> int:
        barrier.wait(60)  # only passes if two threads are inside
        met.append(True)
        return 0

    assert launch(body, 2) == 0
    assert met == [True, True]


def test_a_loop_inside_a_loop_runs_inline() -> None:
    wrong: list[int] = []

    def inner_on(thread: int) -> Callable[[int, int], int]:
        return lambda task, total: wrong.append(task) or 0 if threading.get_ident() != thread else 0  # type: ignore[func-returns-value]

    def outer(task: int, total: int) -> int:
        return launch(inner_on(threading.get_ident()), 8)

    assert launch(outer, 4) == 0
    assert not wrong


def test_a_failing_task_fails_the_loop_and_not_the_next_one() -> None:
    done: Counter[int] = Counter()

    def body(task: int, total: int) -> int:
        done[task] += 1
        return 7 if task == 5 else 0

    assert launch(body, 16) == 7
    assert "returned 7" in last_error()
    assert done == Counter(range(16))
    assert launch(lambda task, total: 0, 16) == 0


def add_program(rows: int = 64, seed: int = 0) -> tuple[Program, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    kernel = Kernel.open(kernels.add((rows, 1000)), "__tvm_ffi_add")
    a, b, c = (aligned_empty((rows, 1000), "float32") for _ in range(3))
    rng = np.random.default_rng(seed)
    a[:], b[:] = rng.normal(size=a.shape), rng.normal(size=a.shape)
    return Program([Operand(x, "float32") for x in (a, b, c)], [Call(kernel, (0, 1, 2))]), a + b, c


@pytest.mark.parametrize("spin_us", [0, 50])
def test_many_callers_share_the_pool(four_threads: Pool, spin_us: int) -> None:
    """Sixteen callers, each with parallel kernels of its own; the process grows by at most three workers."""
    four_threads.set_spin_us(spin_us)
    programs = [add_program(seed=i) for i in range(16)]
    wrong: list[int] = []
    most: list[int] = []

    def work(index: int) -> None:
        program, want, out = programs[index]
        for _ in range(200):
            out[:] = 0
            program.run()
            if not np.array_equal(out, want):
                wrong.append(index)
        most.append(threads_of_this_process())

    before = threads_of_this_process() - four_threads.workers
    callers = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    four_threads.set_spin_us(50)
    assert not wrong
    assert max(most) <= before + 16 + 3


def test_more_callers_than_slots_still_work() -> None:
    """The pool has 64 slots for loops; who finds none runs alone."""
    start = threading.Barrier(80)
    failed: list[int] = []

    def work() -> None:
        start.wait(60)
        for _ in range(20):
            seen: list[int] = []
            if launch(lambda task, total, seen=seen: seen.append(task) or 0, 5) or len(seen) != 5:  # type: ignore
                failed.append(1)

    callers = [threading.Thread(target=work) for _ in range(80)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failed


def test_workers_follow_the_setting(four_threads: Pool) -> None:
    for threads in (6, 2, 1, 3):
        four_threads.threads = threads
        launch(lambda task, total: 0, 8)
        deadline = time.monotonic() + 30
        while four_threads.workers != threads - 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert four_threads.workers == threads - 1


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_a_senseless_number_of_threads_is_refused(four_threads: Pool, threads: int) -> None:
    with pytest.raises(UserError, match="from 1 to 1024"):
        four_threads.threads = threads
    with pytest.raises(UserError, match="microseconds"):
        four_threads.set_spin_us(-1)


def test_a_forked_child_starts_afresh(tmp_path: Path) -> None:
    """Run in a process of its own: forking the test process would copy its threads' locks."""
    (tmp_path / "add.so").write_bytes(kernels.add())
    code = """
import os, sys, numpy as np
from optima.native import *
pool = Pool(); pool.threads = 3
kernel = Kernel.open(open(sys.argv[1], "rb").read(), "__tvm_ffi_add")
a, b, c = (aligned_empty((64, 1000), "float32") for _ in range(3))
a[:], b[:] = 1, 2
program = Program([Operand(x, "float32") for x in (a, b, c)], [Call(kernel, (0, 1, 2))])
for round in range(20):
    c[:] = 0
    program.run()
    assert (c == 3).all() and pool.workers == 2
    child = os.fork()
    if child == 0:
        assert pool.workers == 0
        c[:] = 0
        for _ in range(50):
            program.run()
        os._exit(0 if (c == 3).all() and pool.workers == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "add.so")], check=True, timeout=120)
