"""Many entries over a few worker processes; an entry that kills or hangs its process is a verdict too."""

from __future__ import annotations

import json
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from conformance.check import CRASHED
from conformance.entry import Verdict

#: one request: (name, dtype)
Request = tuple[str, str]


class _Worker:
    """One process and its pipe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Request, limit: int, timeout_s: float) -> Verdict:
        """The verdict; the process is ended when it dies or takes longer than ``timeout_s``."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "conformance.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"name": request[0], "dtype": request[1], "limit": limit}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        line = process.stdout.readline() if ready else ""
        if line:
            return Verdict(**json.loads(line))
        if ready:
            # It has closed its end: its own exit status, not that of being killed.
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        self.close()
        died = f"the process ended with {process.returncode}" if ready else f"no answer in {timeout_s:.0f} s"
        return Verdict(*request, CRASHED, reason=died)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def sweep(
    requests: Sequence[Request],
    *,
    limit: int,
    workers: int,
    timeout_s: float = 900.0,
    report: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """Judge every request, ``limit`` samples each at most; the verdicts in the order of the requests."""
    pending: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(requests)):
        pending.put(index)
    verdicts: dict[int, Verdict] = {}
    lock = threading.Lock()

    def serve() -> None:
        worker = _Worker()
        try:
            while True:
                try:
                    index = pending.get_nowait()
                except queue.Empty:
                    return
                verdict = worker.ask(requests[index], limit, timeout_s)
                with lock:
                    verdicts[index] = verdict
                    report(verdict)
        finally:
            worker.close()

    threads = [threading.Thread(target=serve) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [verdicts[i] for i in range(len(requests))]
