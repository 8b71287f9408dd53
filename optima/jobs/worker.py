"""A compile process: takes jobs from its standard input until that ends. Started by ``optima.jobs.process``.

It is no child of ``multiprocessing``: nothing imports the user's script again, so a script without an
``if __name__ == "__main__"`` guard, a notebook, a prompt and a script on standard input all work.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pickle
import signal
import sys
import traceback

from devices import OptimaError
from optima.jobs.protocol import FAILURE, HELLO, RESULT, TAKEN, read_frame, write_frame

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int) -> None:
    """Serve the process ``parent`` (its id) until it closes the pipe or dies."""
    _die_with(parent)
    requests, answers = os.dup(0), os.dup(1)
    # Whatever a job prints must not get between the frames: it goes to the log that errors quote.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    write_frame(answers, HELLO, b"")
    while True:
        try:
            _, request = read_frame(requests)
        except EOFError:
            os._exit(0)  # nothing here is worth the seconds that a compiler's destructors take
        write_frame(answers, TAKEN, b"")
        write_frame(answers, *_run(request))


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, even of SIGKILL and in the middle of a job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _run(request: bytes) -> tuple[bytes, bytes]:
    try:
        return RESULT, _result(request)
    except BaseException as error:  # noqa: BLE001 - whatever a compiler raises is the job's answer
        return FAILURE, json.dumps(_failure(error)).encode()


def _result(request: bytes) -> bytes:
    # The pipe comes from the process that started this one, and from nowhere else.
    paths, function, payload = pickle.loads(request)  # noqa: S301
    if sys.path != paths:
        sys.path[:] = paths
        importlib.invalidate_caches()
    module, _, name = function.partition(":")
    call = getattr(importlib.import_module(module), name)
    result = call(pickle.loads(payload))  # noqa: S301
    if not isinstance(result, bytes):
        raise TypeError(f"{function} returned {type(result).__name__}, not bytes")
    return result


def _failure(error: BaseException) -> dict[str, str]:
    ours = isinstance(error, OptimaError)
    return {
        "kind": type(error).__name__,
        "reason": error.message if isinstance(error, OptimaError) else str(error),
        "hint": error.hint if isinstance(error, OptimaError) else "",
        "details": str(error) if ours else "".join(traceback.format_exception(error)),
    }
