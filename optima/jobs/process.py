"""Worker processes, kept between calls: starting one and importing a compiler takes a second or more."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress

from optima.jobs.errors import WorkerStartError
from optima.jobs.protocol import HELLO, JOB, TAKEN, read_frame, write_frame

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from optima.jobs.worker import main; main(int(sys.argv[2]))"
)
#: compiled bytes must not depend on the caller's hash seed; cores are shared out by process, not by thread
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TVM_NUM_THREADS": "1",
}
_LOG_SHOWN = 2000


def import_paths() -> list[str]:
    """This process's ``sys.path``, absolute, for a worker whose working folder is another."""
    try:
        here = os.getcwd()
    except OSError:  # the working folder was deleted
        here = "/"
    return [os.path.normpath(os.path.join(here, path)) for path in sys.path if isinstance(path, str)]


class Worker:
    """One compile process. ``started`` once it said hello, ``working`` while it has a job."""

    def __init__(self) -> None:
        if not sys.executable:
            raise OSError("sys.executable is empty, so there is no Python to start")
        self.started = self.working = False
        # A file and not a pipe: nobody has to drain it, and a crash leaves its last words there.
        self._log = tempfile.TemporaryFile(mode="a+b")  # noqa: SIM115 - lives as long as the process
        command = [sys.executable, "-P", "-c", _START, json.dumps(import_paths()), str(os.getpid())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            cwd=tempfile.gettempdir(),
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C at the terminal is the parent's to handle
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def fileno(self) -> int:
        """The pipe that answers come from, for a selector."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, request: bytes) -> None:
        """Hand over one job. Raises BrokenPipeError if the process is gone."""
        assert self._process.stdin is not None
        self._log.truncate(0)
        self.working = False
        write_frame(self._process.stdin.fileno(), JOB, request)

    def receive(self) -> tuple[bytes, bytes] | None:
        """One answer, None for news. Raises EOFError if the process is gone, WorkerStartError if it was gone
        before its hello."""
        try:
            tag, content = read_frame(self.fileno())
        except EOFError:
            if not self.started:
                raise self.start_error() from None
            raise
        if tag in (HELLO, TAKEN):
            self.started, self.working = True, tag == TAKEN
            return None
        self.working = False
        return tag, content

    def start_error(self) -> WorkerStartError:
        """Why the process did not start; kills what is left of it."""
        self.kill()
        return WorkerStartError(f"a compile process did not start ({self.end()}):\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of what the process, or a tool that it called, wrote to its output since its last job."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_SHOWN))
        return self._log.read().decode(errors="replace").strip()

    def end(self) -> str:
        """How the process ended: ``exit code 1`` or a signal's name. Waits for it."""
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def kill(self) -> None:
        """Kill it, with the tools that it runs, and wait until it is gone."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        self._close()

    def forget(self) -> None:
        """In a forked child: let go of a process that is the parent's."""
        self._process.returncode = 0
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Spawner:
    """Starts workers from one thread that lives as long as the process.

    Linux sends a child its parent-death signal when the *thread* that started it ends (prctl(2)); started
    from a caller's thread, workers would die with that thread.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[Future[Worker]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> Worker:
        """A new worker. Raises WorkerStartError if the system refuses to start one."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="optima-spawner", daemon=True)
                self._thread.start()
        request: Future[Worker] = Future()
        self._requests.put(request)
        try:
            return request.result()
        except OSError as error:
            raise WorkerStartError(f"a compile process cannot be started: {error}") from error

    def _serve(self) -> None:
        while True:
            request = self._requests.get()
            try:
                request.set_result(Worker())
            except BaseException as error:  # noqa: BLE001 - raised where the worker was asked for
                request.set_exception(error)
