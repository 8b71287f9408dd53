"""Jobs run once each, in other processes; failures are collected; what finished is kept."""

from __future__ import annotations

import ast
import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from devices import OptimaError
from optima.backends.base import Job
from optima.jobs import Cache, KernelCompileError, run_jobs, stop_workers
from optima.jobs import pool as pool_module
from optima.jobs.errors import WorkerStartError
from tests.jobs.functions import job


def surroundings(number: int = 0, **options: Any) -> tuple[int, str, list[str], str]:
    one = job("surroundings", number=number)
    text = run_jobs([one], **options).results[one.key].decode()
    found: tuple[int, str, list[str], str] = ast.literal_eval(text)
    return found


def refused(*jobs: Any, **options: Any) -> KernelCompileError:
    with pytest.raises(KernelCompileError) as caught:
        run_jobs(jobs, **options)
    assert caught.value.hint
    return caught.value


def test_results_come_by_key_in_the_order_of_the_jobs() -> None:
    jobs = [job("echo", bytes([i]) * i) for i in range(40)]
    done = run_jobs(jobs, workers=2)
    assert list(done.results) == [j.key for j in jobs]
    assert [done.results[j.key] for j in jobs] == [bytes([i]) * i for i in range(40)]
    assert (done.compiled, done.cached, done.workers) == (40, 0, 2)
    assert set(done.seconds) == {"lookup", "compile", "store"} and done.seconds["compile"] > 0


def test_no_jobs_start_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_POOL", None)
    done = run_jobs([])
    assert (done.results, done.compiled, done.workers) == ({}, 0, 0)


def test_equal_keys_run_once(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    run_jobs([job("count", str(path)) for _ in range(5)], workers=2)
    assert path.read_text() == "called\n"


def test_cached_jobs_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls"
    jobs = [job("count", str(path), number=i) for i in range(3)]
    first = run_jobs(jobs[:2], cache=Cache(tmp_path / "cache"))
    second = run_jobs(jobs, cache=Cache(tmp_path / "cache"))
    assert (first.compiled, first.cached) == (2, 0)
    assert (second.compiled, second.cached) == (1, 2)
    monkeypatch.setattr(pool_module, "_POOL", None)
    assert run_jobs(jobs, cache=Cache(tmp_path / "cache")).results == second.results
    assert path.read_text().count("called") == 3


def test_two_run_at_the_same_time(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    done = run_jobs([job("meet", (a, b)), job("meet", (b, a))], workers=2)
    assert set(done.results.values()) == {b"met"}


def test_workers_stay_for_the_next_call_and_load_nothing_heavy() -> None:
    stop_workers()
    pid, seed, heavy, threads = surroundings(1, workers=1)
    assert pid != os.getpid() and (seed, heavy, threads) == ("0", [], "1")
    assert surroundings(2, workers=1)[0] == pid
    stop_workers()
    assert surroundings(3, workers=1)[0] != pid


def test_workers_outlive_the_thread_that_asked_for_them() -> None:
    """The parent-death signal goes by thread: a worker started from a caller's thread would die with it."""
    stop_workers()
    found: list[int] = []
    for number in range(2):
        thread = threading.Thread(target=lambda n=number: found.append(surroundings(n, workers=1)[0]))
        thread.start()
        thread.join()
    assert found[0] == found[1] == surroundings(3, workers=1)[0]


def test_calls_from_several_threads(tmp_path: Path) -> None:
    results: list[dict[str, bytes]] = []
    jobs = [[job("echo", b"%d" % i, number=t) for i in range(20)] for t in range(4)]

    def run(part: list[Job]) -> None:
        results.append(run_jobs(part, workers=2).results)

    threads = [threading.Thread(target=run, args=(part,)) for part in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k: v for r in results for k, v in r.items()} == {j.key: j.payload for part in jobs for j in part}


def test_what_a_job_prints_does_not_get_between_the_frames(capfd: pytest.CaptureFixture[str]) -> None:
    one = job("noisy")
    assert run_jobs([one]).results[one.key] == b"done"
    assert capfd.readouterr() == ("", "")


def test_large_payloads_and_results() -> None:
    one = job("echo", os.urandom(8 << 20))
    assert run_jobs([one]).results[one.key] == one.payload


def test_a_module_that_became_importable_after_the_worker_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surroundings()
    (tmp_path / "late_module.py").write_text("def f(x):\n    return x * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_jobs([Job("a" * 64, "late_module:f", b"x", "late")]).results == {"a" * 64: b"xx"}


def test_all_failures_come_in_one_error_and_the_rest_is_kept(tmp_path: Path) -> None:
    good = [job("echo", bytes([i])) for i in range(6)]
    bad = [
        job("fail", "no such loop\nand more", "k_loop", ("conv2d_1", "add_2")),
        job("fail", "x" * 5000, "k_long", tuple(f"op_{i}" for i in range(9))),
        job("refuse", None, "k_user", ("conv2d_9",)),
        job("not_bytes", None, "k_type"),
        job("leave", 7, "k_exit"),
        job("nowhere", None, "k_name"),
    ]
    cache = Cache(tmp_path)
    error = refused(*bad, *good, workers=2, cache=cache)
    rows = {p.subject: (p.reason, p.where) for p in error.problems}
    assert list(rows) == sorted(rows) and len(rows) == 6
    assert rows["k_loop"] == ("ValueError: no such loop", "conv2d_1, add_2")
    assert rows["k_user"] == ("UserError: conv2d of 9 dimensions", "conv2d_9")
    assert rows["k_long"][1] == "op_0, op_1, op_2, op_3 and 5 more" and len(rows["k_long"][0]) < 400
    assert rows["k_type"][0].endswith("returned int, not bytes")
    assert rows["k_exit"][0] == "SystemExit: 7"
    assert "nowhere" in rows["k_name"][0]
    assert "use fewer" in error.hint and "6 kernels" in str(error)
    assert any("Traceback" in note for note in error.__notes__)
    assert run_jobs(good, cache=cache).cached == 6


def test_failures_do_not_end_the_workers() -> None:
    pid = surroundings(1, workers=1)[0]
    refused(job("fail", "x"), workers=1)
    assert surroundings(2, workers=1)[0] == pid


def test_memory_that_runs_out_says_what_to_do() -> None:
    assert "workers=1" in refused(job("run_out")).hint


@pytest.mark.parametrize("payload", [lambda: 0, threading.Lock(), sys.modules["os"]])
def test_a_payload_that_cannot_be_sent(payload: Any) -> None:
    error = refused(job("echo", payload, "k"), job("echo", b"fine"))
    assert [p.subject for p in error.problems] == ["k"] and "pickle" in error.problems[0].reason


@pytest.mark.parametrize(
    ("name", "payload", "reason", "hint"),
    [
        ("die", signal.SIGKILL, "SIGKILL", "workers=1"),
        ("die", signal.SIGABRT, "SIGABRT): LLVM ERROR: out of registers", "report"),
        ("crash", None, "SIGSEGV", "report"),
        ("vanish", 3, "exit code 3", "report"),
    ],
)
def test_a_worker_that_dies(tmp_path: Path, name: str, payload: Any, reason: str, hint: str) -> None:
    cache = Cache(tmp_path)
    good = [job("echo", bytes([i])) for i in range(6)]
    error = refused(good[0], job(name, payload, "k_dead", ("conv2d_1",)), *good[1:], workers=2, cache=cache)
    (row,) = error.problems
    assert (row.subject, row.where) == ("k_dead", "conv2d_1") and reason in row.reason
    assert hint in error.hint
    assert run_jobs(good, cache=cache).cached == 6
    assert isinstance(pickle.loads(pickle.dumps(error)), KernelCompileError)  # noqa: S301


def test_every_worker_dies_and_every_kernel_is_named() -> None:
    error = refused(*[job("die", signal.SIGKILL, f"k{i}") for i in range(5)], workers=2)
    assert [p.subject for p in error.problems] == [f"k{i}" for i in range(5)]


def test_a_worker_that_was_killed_while_idle_is_replaced() -> None:
    pid = surroundings(1, workers=1)[0]
    os.kill(pid, signal.SIGKILL)
    assert surroundings(2, workers=1)[0] != pid


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python", ""])
def test_a_python_that_cannot_start(monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    stop_workers()
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(WorkerStartError) as caught:
        run_jobs([job("echo", b"x")])
    assert isinstance(caught.value, OptimaError)
    monkeypatch.undo()
    run_jobs([job("echo", b"x")])


def test_a_forked_child_has_workers_of_its_own() -> None:
    pid = surroundings(1, workers=1)[0]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if surroundings(2, workers=1)[0] != pid else 2
            stop_workers()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert surroundings(3, workers=1)[0] == pid, "the parent's worker is untouched"


def test_quiet_when_not_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    run_jobs([job("echo", b"x")])
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    run_jobs([job("echo", bytes([i])) for i in range(3)], progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "compiling kernels" in err and "3/3" in err
