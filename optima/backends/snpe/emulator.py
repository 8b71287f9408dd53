"""A quantised model on Qualcomm's own emulation of the tensor processor, in a process of its own.

The emulator's libraries keep settings from session to session and write to standard output; and if they crash, the
caller's process lives.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any

import numpy as np

from optima.backends.onnx_simulation import ports_of
from optima.backends.snpe.qnn import command
from optima.tools import ToolFailed

Array = np.ndarray[Any, Any]

_LOG_SHOWN = 1000
_START_S = 600.0


class Emulator:
    """A process that has loaded one model. Requests of any number of threads run one after the other."""

    runs_on = "HTP emulation by onnxruntime-qnn"

    def __init__(self, model: bytes, options: Mapping[str, str]) -> None:
        """Raises ToolFailed when it does not start or cannot take the model."""
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                command("serve", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C at the terminal is the caller's to handle
            )
        weakref.finalize(self, _end, self._process, self._connection, self._log)
        with self._lock:
            self._send(json.dumps(dict(options)).encode())
            self._send(model)
            ports = json.loads(self._receive(_START_S)[1:])
        self.inputs, self.outputs = ports_of(ports["inputs"]), ports_of(ports["outputs"])

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """float32 arrays in the model's order. Raises ToolFailed when the emulator fails."""
        with self._lock:
            values = np.frombuffer(self._answer(inputs), np.float32, offset=1)
        kinds = [port.type for port in self.outputs]
        ends = np.cumsum([kind.numel for kind in kinds])
        return [p.reshape(k.shape) for p, k in zip(np.split(values, ends[:-1]), kinds, strict=True)]

    def _answer(self, inputs: Sequence[Array]) -> bytes:
        try:
            self._send(b"".join(np.ascontiguousarray(a, np.float32).tobytes() for a in inputs))
            return self._receive(None)
        except ToolFailed:
            raise
        except BaseException:
            # Interrupted half-way: the next request must not get this one's answer.
            self._process.kill()
            raise

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send_bytes(data)
        except OSError as error:
            raise self._dead() from error

    def _receive(self, seconds: float | None) -> bytes:
        try:
            if seconds is not None and not self._connection.poll(seconds):
                raise ToolFailed(f"the HTP emulation did not load the model within {seconds:g} s", hint=_HINT)
            answer = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._dead() from error
        if answer[:1] == b"\0":
            raise ToolFailed(f"the HTP emulation failed: {answer[1:].decode(errors='replace')}", hint=_HINT)
        return answer

    def _dead(self) -> ToolFailed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        self._log.seek(max(0, self._log.seek(0, 2) - _LOG_SHOWN))
        said = self._log.read().decode(errors="replace").strip() or "it printed nothing"
        return ToolFailed(f"the HTP emulation ended with status {self._process.returncode}:\n{said}", hint=_HINT)


_HINT = "set OPTIMA_HEXAGON_SIMULATOR=onnxruntime to simulate by ONNX Runtime instead"


def _end(process: subprocess.Popen[bytes], connection: Connection, log: IO[bytes]) -> None:
    connection.close()
    log.close()
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
