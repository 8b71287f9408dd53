"""What the tests' jobs run, in worker processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from devices import UserError
from optima.backends.base import Job


def job(name: str, payload: Any = None, label: str = "", ops: tuple[str, ...] = (), number: int = 0) -> Job:
    """A job of the function ``name`` here; ``number`` tells apart jobs that are otherwise alike."""
    import hashlib

    key = hashlib.sha256(repr((name, payload, label, number)).encode()).hexdigest()
    return Job(key, f"tests.jobs.functions:{name}", payload, label or name, ops)


def echo(payload: bytes) -> bytes:
    return payload


def count(path: str) -> bytes:
    """Leaves one line per call."""
    with open(path, "a") as file:
        file.write("called\n")
    return b"counted"


def noisy(_: object) -> bytes:
    sys.stdout.write("to stdout\n")
    sys.stderr.write("to stderr\n")
    os.write(1, b"raw\n")
    return sys.stdin.read().encode() + b"done"


def surroundings(_: object) -> bytes:
    heavy = [name for name in ("torch", "tvm", "networkx", "rich") if name in sys.modules]
    seed, threads = os.environ["PYTHONHASHSEED"], os.environ["OMP_NUM_THREADS"]
    return repr((os.getpid(), seed, heavy, threads)).encode()


def meet(payload: tuple[str, str]) -> bytes:
    """Waits until the other one of two jobs is here too."""
    mine, other = map(Path, payload)
    mine.touch()
    deadline = time.monotonic() + 30
    while not other.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came")
        time.sleep(0.005)
    return b"met"


def sleep(path: str) -> bytes:
    """Says in a file who sleeps: this process, and a tool that it runs."""
    tool = subprocess.Popen(["sleep", "60"])
    Path(path + ".new").write_text(f"{os.getpid()} {tool.pid}")
    os.rename(path + ".new", path)
    time.sleep(60)
    return b""


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def refuse(_: object) -> NoReturn:
    raise UserError("conv2d of 9 dimensions", hint="use fewer")


def run_out(_: object) -> NoReturn:
    raise MemoryError


def leave(code: int) -> NoReturn:
    sys.exit(code)


def not_bytes(_: object) -> Any:
    return 3


def die(number: int) -> NoReturn:
    os.write(2, b"LLVM ERROR: out of registers\n")
    os.kill(os.getpid(), number)
    raise AssertionError


def crash(_: object) -> NoReturn:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)
    raise AssertionError


def vanish(code: int) -> NoReturn:
    os._exit(code)
