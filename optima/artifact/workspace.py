"""The hidden sibling folder in which a model folder is built, and what a killed writer left of such folders.

``.<Model>.<16 hex digits>.tmp/`` holds a marker, ``new/`` (what is built; after an exchange, what was
replaced) and, where the system cannot exchange, ``old/``. The marker is written first and removed last: a
folder of that name without it is not surely ours and stays.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optima.artifact.target import Target

_LOG = logging.getLogger("optima.artifact")
_MARKER = "made-by-optima"


class Workspace:
    """``new`` is where to build, ``old`` where a replaced folder may be put aside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.new = path / "new"
        self.old = path / "old"

    def remove(self) -> None:
        """Delete all of it, the marker last. What cannot be deleted is left with a warning."""
        for tree in (self.new, self.old):
            if os.path.lexists(tree):
                shutil.rmtree(tree, onerror=_warn)
        with suppress(OSError):  # a tree was left: the marker must stay with it
            if not any(name != _MARKER for name in os.listdir(self.path)):
                (self.path / _MARKER).unlink(missing_ok=True)
                self.path.rmdir()


@contextmanager
def workspace(target: Target) -> Iterator[Workspace]:
    """A fresh workspace beside the model folder, on the same file system; removed however it ends."""
    space = Workspace(target.root / target.temporary_name())
    space.path.mkdir(mode=0o700)
    try:
        (space.path / _MARKER).touch()
        space.new.mkdir()
        yield space
    finally:
        space.remove()


def recover(target: Target) -> None:
    """Remove the workspaces that killed writers left, and put back a folder that one had set aside.

    Call it with the target's lock held: then no workspace of this name has a living owner.
    """
    for name in sorted(os.listdir(target.root)):
        path = target.root / name
        if not target.is_temporary(name) or path.is_symlink() or not path.is_dir():
            continue
        if not os.listdir(path):
            with suppress(FileNotFoundError):  # check_target's own probe, just removed by it
                path.rmdir()
        elif (path / _MARKER).is_file():
            space = Workspace(path)
            if space.old.is_dir() and not os.path.lexists(target.folder):
                os.rename(space.old, target.folder)
                _LOG.warning("put back %s, which a killed compile had set aside", target.folder)
            space.remove()
            _LOG.info("removed %s, which a killed compile had left", path)


def _warn(_function: object, path: str, info: tuple[object, BaseException, object]) -> None:
    _LOG.warning("cannot remove %s: %s", path, info[1])
