"""What only shows in a process of its own: scripts without a guard, terminals, signals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
from optima.jobs import run_jobs
from tests.jobs.functions import job
print("once")
one = job("echo", b"hello")
print(run_jobs([one, job("surroundings")]).results[one.key].decode())
"""
SLEEPER = """
import sys
from optima.jobs import run_jobs
from tests.jobs.functions import job
run_jobs([job("sleep", sys.argv[1], "k_sleep"), job("echo", b"x")], workers=2)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        input=SCRIPT, capture_output=True, text=True, env=environment(), cwd=cwd, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["script", "stdin", "-c", "deleted working folder"])
def test_a_script_without_a_main_guard_runs_once(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "gone").mkdir()
    gone = f"import os; os.chdir({str(tmp_path / 'gone')!r}); os.rmdir(os.getcwd())\n"
    arguments = {
        "script": [str(tmp_path / "script.py")],
        "stdin": ["-"],
        "-c": ["-c", SCRIPT],
        "deleted working folder": ["-c", gone + SCRIPT],
    }[how]
    done = python(*arguments)
    assert (done.stdout, done.stderr, done.returncode) == ("once\nhello\n", "", 0)


def test_a_module_beside_the_script_is_found(tmp_path: Path) -> None:
    """Relative entries of sys.path mean the caller's working folder, and that folder is not on a worker's path."""
    (tmp_path / "my_kernels.py").write_text("def f(x):\n    return x + x\n")
    code = (
        "from optima.backends.base import Job\nfrom optima.jobs import run_jobs\n"
        "print(run_jobs([Job('a' * 64, 'my_kernels:f', b'x', 'k')]).results['a' * 64])"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.stdout == "b'xx'\n", done.stderr


def test_what_a_script_defines_is_refused_with_the_way_out() -> None:
    code = (
        "from optima.backends.base import Job\nfrom optima.jobs import run_jobs\n"
        "class Mine: pass\n"
        "try: run_jobs([Job('a' * 64, 'tests.jobs.functions:echo', Mine(), 'k')])\n"
        "except Exception as e: print(type(e).__name__, e)"
    )
    done = python("-c", code)
    assert done.stdout.startswith("KernelCompileError") and "into a module" in done.stdout


def sleeping(tmp_path: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A process that compiles for a minute, and those that work for it."""
    path = tmp_path / "pids"
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(path)], stderr=subprocess.PIPE, text=True, env=environment()
    )
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process, [psutil.Process(int(pid)) for pid in path.read_text().split()]


def are_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=10)
    return all(p.status() == psutil.STATUS_ZOMBIE for p in alive if p.is_running())


def test_an_interrupt_kills_the_workers_and_their_tools(tmp_path: Path) -> None:
    process, working = sleeping(tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in err and process.returncode != 0
    assert are_gone(working)


def test_a_killed_parent_takes_its_workers_along(tmp_path: Path) -> None:
    process, (worker, tool) = sleeping(tmp_path)
    process.kill()
    process.communicate(timeout=20)
    try:
        assert are_gone([worker])
    finally:
        tool.kill()


def test_a_terminal_shows_progress_with_the_time_left() -> None:
    parent_end, child_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.DEVNULL, stderr=child_end,
        env={**environment(), "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(child_end)
    shown = b""
    try:
        while chunk := os.read(parent_end, 4096):
            shown += chunk
    except OSError:
        pass  # how Linux says that the other end of a terminal was closed
    os.close(parent_end)
    assert process.wait(timeout=60) == 0
    assert b"compiling kernels" in shown and b"ETA" in shown and b"2/2" in shown


def test_importing_the_room_starts_nothing() -> None:
    code = "import threading, optima.jobs, psutil\nprint(threading.active_count(), psutil.Process().children())"
    done = python("-c", code)
    assert done.stdout == "1 []\n"
