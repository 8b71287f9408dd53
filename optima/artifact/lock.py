"""One writer at a time for each model folder, between processes and between threads."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optima.artifact.errors import TargetBusyError

_LOG = logging.getLogger("optima.artifact")
#: what flock says on file systems that have no locks
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def hold(path: Path, folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock file ``path`` of the model folder ``folder``. The kernel lets go when the process dies.

    Yields False, after a warning, where the file system has no locks. Raises TargetBusyError if another holds
    it and ``wait`` is False; OSError if the file cannot be made.
    """
    fd, locked = _acquire(path, folder, wait)
    try:
        yield locked
    finally:
        # Unlinked while held: whoever waits on this inode sees in _acquire that the path has another by now.
        path.unlink(missing_ok=True)
        os.close(fd)


def refuse_if_busy(path: Path, folder: Path) -> None:
    """Raise TargetBusyError if another process or thread holds the lock right now; makes no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        # Shared, so that two who only look never see each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(fd, folder) from None
    except OSError:
        return
    finally:
        os.close(fd)


def _acquire(path: Path, folder: Path, wait: bool) -> tuple[int, bool]:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            locked = _flock(fd, folder, wait)
            if not locked or _is_at(fd, path):
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
                return fd, locked
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _flock(fd: int, folder: Path, wait: bool) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise _busy(fd, folder) from None
        _LOG.warning("waiting for process %s, which is writing %s", _owner(fd), folder)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _LOG.warning("%s is on a file system without locks: do not compile into it twice at once", folder)
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _owner(fd: int) -> str:
    return os.pread(fd, 20, 0).decode(errors="replace") or "(unknown)"


def _busy(fd: int, folder: Path) -> TargetBusyError:
    return TargetBusyError(
        f"{folder} is being written by process {_owner(fd)}",
        hint="wait for it (wait_for_lock=True), or choose another output_folder_dir",
    )
