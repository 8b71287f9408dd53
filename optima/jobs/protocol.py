"""Frames between the process that compiles and its workers: a tag, 8 bytes of length, the content."""

from __future__ import annotations

import os

#: worker -> parent: imported, waiting for jobs
HELLO = b"H"
#: parent -> worker: pickle of (sys.path, "module:function", pickled payload)
JOB = b"J"
#: worker -> parent: the job has arrived; whoever dies after this died of it
TAKEN = b"T"
#: worker -> parent: the job's bytes
RESULT = b"R"
#: worker -> parent: JSON of a Failure
FAILURE = b"F"

_CHUNK = 1 << 20


def write_frame(fd: int, tag: bytes, content: bytes) -> None:
    """Write one frame, blocking. Raises BrokenPipeError when the other side is gone."""
    for part in (tag + len(content).to_bytes(8, "little"), content):
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]


def read_frame(fd: int) -> tuple[bytes, bytes]:
    """Read one frame, blocking. Raises EOFError when the other side is gone, also within a frame."""
    head = _read(fd, 9)
    return head[:1], _read(fd, int.from_bytes(head[1:], "little"))


def _read(fd: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = os.read(fd, min(size, _CHUNK))
        if not part:
            raise EOFError("the pipe ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
