"""Writes a model folder whole or not at all.

At each moment, whatever is killed, ``<output>/<Model>`` is the old folder or the new one, whole. Where kernel
or file system cannot exchange two folders it is the old one, none for an instant, or the new one, and an old
one that a killed process had set aside is put back by the next write. Files are on disk before the new folder
appears.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from devices import InternalError, Problem
from optima.artifact.exchange import exchange, replace_in_two_steps
from optima.artifact.lock import hold
from optima.artifact.manifest import MODEL_META, REPORT, FileMeta, ModelMeta
from optima.artifact.target import Target, check_folder, check_target, explain
from optima.artifact.workspace import recover, workspace
from optima.backends.base import why_not_a_path

__all__ = ["Target", "check_target", "write_model"]


def write_model(
    target: Target,
    meta: ModelMeta,
    files: Mapping[str, bytes],
    report: Callable[[], bytes] | None = None,
    *,
    wait: bool = True,
) -> Path:
    """Write ``model.meta`` (its ``files`` are filled in here), ``files`` by their path, and ``report.json``.

    ``target`` comes from ``check_target`` and is checked again. A folder of Optima's that is there is
    replaced whole. Returns the model folder. Raises OutputFolderError, with what was there untouched, when
    the place cannot take it (disk full, no permission, something else there by now), and TargetBusyError
    when another process writes it and ``wait`` is False.
    """
    contents = _contents(meta, files)
    size = sum(map(len, contents.values()))
    try:
        target.root.mkdir(parents=True, exist_ok=True)
        with hold(target.lock_path, target.folder, wait=wait) as alone:
            if alone:
                recover(target)
            check_folder(target.folder)
            with workspace(target) as space:
                if report is not None:
                    contents[REPORT] = report()
                _write_tree(space.new, contents)
                _install(space.new, target.folder, space.old)
                _sync(target.root)
    except OSError as error:
        raise explain(error, target.folder, size) from error
    return target.folder


def _contents(meta: ModelMeta, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every file but the report, by path; ``model.meta`` last."""
    folders = {parent for path in files for parent in _parents(path)}
    problems = [
        Problem(repr(path), reason)
        for path in files
        if (reason := why_not_a_path(path) or _why_reserved(path, folders))
    ]
    if problems:
        raise InternalError("files that cannot go into a model folder", problems=problems)
    listed = tuple(
        FileMeta(path=path, sha256=hashlib.sha256(files[path]).hexdigest(), size=len(files[path]))
        for path in sorted(files)
    )
    complete = meta.model_copy(update={"files": listed})
    return {**{path: files[path] for path in sorted(files)}, MODEL_META: complete.to_bytes()}


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def _why_reserved(path: str, folders: set[str]) -> str:
    if path in (MODEL_META, REPORT):
        return "is written by the writer itself"
    return "is both a file and a folder" if path in folders else ""


def _write_tree(root: Path, contents: Mapping[str, bytes]) -> None:
    folders = dict.fromkeys([root])
    for path, data in contents.items():
        place = root / path
        for parent in _parents(path):
            folders[root / parent] = None
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    # Only now, so that the file system commits them together: 1,000 kernels cost a few commits, not 1,000.
    for path in contents:
        _sync(root / path)
    for folder in reversed(folders):
        _sync(folder)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync for folders
            raise
    finally:
        os.close(fd)


def _install(new: Path, folder: Path, aside: Path) -> None:
    """``new`` appears at ``folder``; what was there ends up at ``new`` or ``aside``."""
    if not _is_full_folder(folder):
        # rename(2) replaces nothing, or an empty folder, in one step, and refuses anything else.
        os.rename(new, folder)
    elif not exchange(new, folder):
        replace_in_two_steps(new, folder, aside)


def _is_full_folder(folder: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(folder).st_mode) and bool(os.listdir(folder))
    except FileNotFoundError:
        return False
