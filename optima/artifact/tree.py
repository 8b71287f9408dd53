"""Reads a folder's files as bytes, never following a symbolic link and never reading twice."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from devices import Problem
from optima.artifact.weights import Array, aligned_empty

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Not blocking: a pipe that takes a file's place must not hang the reader.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass
class Tree:
    """The regular files under ``root`` by path, each with its size; everything else as problems.

    All goes through one open folder: what is read belongs to one tree even when another takes its place.
    """

    root: Path
    fd: int
    sizes: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def scan(cls, root: Path) -> Tree:
        """Open and list the tree; ``close`` it. Raises OSError when it is no folder or cannot be read."""
        tree = cls(root, os.open(root, _FOLDER))
        try:
            tree._list()
        except FileNotFoundError:
            if tree.in_place:
                tree.close()
                raise
        except BaseException:
            tree.close()
            raise
        return tree

    @property
    def in_place(self) -> bool:
        """Whether ``root`` still is the folder that was opened."""
        try:
            return os.path.samestat(os.fstat(self.fd), os.stat(self.root))
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.fd)

    def read(self, path: str) -> Array:
        """All bytes of a file as 64-byte aligned uint8. Raises OSError, also if it is no regular file now."""
        fd = os.open(path, _FILE, dir_fd=self.fd)
        with open(fd, "rb", buffering=0) as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(f"{path} is not a regular file")
            try:
                buffer = aligned_empty(info.st_size)
            except MemoryError as error:  # a sparse file can claim any size
                raise OSError(f"{path} has {info.st_size} bytes, more than there is memory for") from error
            filled = 0
            view = buffer.data
            while filled < info.st_size and (count := file.readinto(view[filled:])):
                filled += count
        return buffer[:filled]

    def _list(self) -> None:
        pending = [""]
        while pending:
            prefix = pending.pop()
            fd = os.open(prefix or ".", _FOLDER | os.O_NOFOLLOW, dir_fd=self.fd)
            try:
                with os.scandir(fd) as entries:
                    for entry in sorted(entries, key=lambda e: e.name):
                        path = f"{prefix}{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(path + "/")
                        else:
                            self._take(path, entry.stat(follow_symlinks=False))
            finally:
                os.close(fd)

    def _take(self, path: str, info: os.stat_result) -> None:
        if stat.S_ISREG(info.st_mode):
            self.sizes[path] = info.st_size
        elif stat.S_ISLNK(info.st_mode):
            self.problems.append(Problem(path, "is a symbolic link, and an artifact has none"))
        else:
            self.problems.append(Problem(path, "is neither a file nor a folder"))
