"""The parent's side of a model's process: start it, follow its stages, end it with all its compile workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from zoo.result import CRASHED, Result

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """How every model of a sweep is run. ``source`` is another list than this zoo's; ``timeout_s`` is per model."""

    source: str = ""
    timeout_s: float = 900.0
    timed: bool = True
    compile_workers: int = 0


def list_names(settings: Settings) -> list[tuple[str, str]]:
    """(name, family) of every model, in order. Raises ValueError with the child's last line when it has none."""
    lines, told, _ = _child(["--names"], settings, lambda message: None)
    if not lines:
        raise ValueError(f"the list of models cannot be read: {told}")
    return [(name, family) for name, family in lines[-1]["names"]]


def run_one(name: str, family: str, settings: Settings) -> Result:
    """Measure one model in a process of its own. One that dies, or outlives the timeout, has crashed."""
    began = time.monotonic()
    stages: list[str] = [""]
    arguments = ["--one", name, "--compile-workers", str(settings.compile_workers)]
    if not settings.timed:
        arguments.append("--untimed")
    lines, told, ended = _child(arguments, settings, lambda message: stages.append(message.get("stage", "")))
    if lines and "result" in lines[-1]:
        return Result(**lines[-1]["result"])
    reason = f"the process ended with {ended}: {told}" if ended is not None else f"no end in {settings.timeout_s:.0f} s"
    return Result(name, family, CRASHED, reason, stage=stages[-1], seconds=time.monotonic() - began)


def _child(
    arguments: list[str], settings: Settings, heard: Callable[[dict[str, Any]], None]
) -> tuple[list[dict[str, Any]], str, int | None]:
    """(the messages, the last line on standard error, the exit status or None where it was ended)."""
    command = [sys.executable, "-m", "zoo.child", *arguments]
    if settings.source:
        path, _, attribute = settings.source.partition(":")
        command += ["--from", str(Path(path).resolve()) + (f":{attribute}" if attribute else "")]
    messages: list[dict[str, Any]] = []
    with tempfile.TemporaryFile("w+") as errors:
        # A session of its own: its compile workers end with it.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        reader = threading.Thread(target=_listen, args=(process.stdout, messages, heard))
        reader.start()
        try:
            ended: int | None = process.wait(settings.timeout_s)
        except subprocess.TimeoutExpired:
            ended = None
        _end(process)
        reader.join()
        process.stdout.close()
        errors.seek(0)
        told = [line.strip() for line in errors.read()[-4000:].splitlines() if line.strip()]
    return messages, told[-1][:200] if told else "", ended


def _listen(
    stream: IO[str], messages: list[dict[str, Any]], heard: Callable[[dict[str, Any]], None]
) -> None:
    for line in stream:
        message = json.loads(line)
        messages.append(message)
        heard(message)


def _end(process: subprocess.Popen[str]) -> None:
    """End what is left of the process's session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
