"""The jobs of the naughty backend."""

from __future__ import annotations

import os
import signal


def fail(payload: object) -> bytes:
    raise RuntimeError("the compiler fell over")


def die(payload: object) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def text(payload: object) -> str:
    return "not bytes"
