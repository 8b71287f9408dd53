"""Two folders change places in one step, where the system can; in two, with recovery, where it cannot."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


@cache
def _renameat2() -> Any:
    """glibc's ``renameat2`` (2.28 and later), None elsewhere."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function


def exchange(one: Path, other: Path) -> bool:
    """Swap two existing folders of one file system atomically; False where kernel or file system cannot.

    Raises OSError for any other failure, with both in place.
    """
    function = _renameat2()
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def replace_in_two_steps(new: Path, folder: Path, aside: Path) -> None:
    """``folder`` goes to ``aside``, ``new`` to ``folder``. Between the two nothing is at ``folder``: a
    process killed there leaves the old one whole at ``aside``, from where the next writer puts it back."""
    os.rename(folder, aside)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(aside, folder)
        raise
