"""Reads a folder's files as bytes, never following a symbolic link and never reading twice."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from devices import Problem
from optima.artifact.weights import Array, aligned_empty


@dataclass
class Tree:
    """The regular files under ``root`` by path, each with its size; everything else as problems."""

    root: Path
    sizes: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def scan(cls, root: Path) -> Tree:
        """List the tree. Raises OSError when ``root`` is no folder or cannot be read."""
        tree = cls(root)
        pending = [""]
        while pending:
            prefix = pending.pop()
            with os.scandir(root / prefix) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    path = f"{prefix}{entry.name}"
                    if entry.is_symlink():
                        tree.problems.append(Problem(path, "is a symbolic link, and an artifact has none"))
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(path + "/")
                    elif entry.is_file(follow_symlinks=False):
                        tree.sizes[path] = entry.stat(follow_symlinks=False).st_size
                    else:
                        tree.problems.append(Problem(path, "is neither a file nor a folder"))
        return tree

    def read(self, path: str) -> Array:
        """All bytes of a file as 64-byte aligned uint8. Raises OSError, also if it is no regular file now."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self.root / path, flags)
        with open(fd, "rb", buffering=0) as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise OSError("is not a regular file")
            try:
                buffer = aligned_empty(info.st_size)
            except MemoryError as error:  # a sparse file can claim any size
                raise OSError(f"{path} has {info.st_size} bytes, more than there is memory for") from error
            filled = 0
            view = buffer.data
            while filled < info.st_size and (count := file.readinto(view[filled:])):
                filled += count
        return buffer[:filled]
