"""Where a model folder goes: the checks that are made before anything is compiled."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from optima.artifact.errors import ModuleNameError, OutputFolderError
from optima.artifact.lock import refuse_if_busy
from optima.artifact.manifest import MODEL_META

#: bytes; leaves room for the names of the temporary folder and the lock within a file system's usual 255
MAX_NAME = 100
#: bytes; a model.meta with a source line for each of a million ops stays below
MAX_META = 1 << 28


@dataclass(frozen=True)
class Target:
    """A checked place: ``folder`` is ``root / name``; ``root`` is absolute and need not exist yet."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """The model folder."""
        return self.root / self.name

    @property
    def lock_path(self) -> Path:
        """The file that a writer of ``folder`` holds locked; there only while one is writing."""
        return self.root / f".{self.name}.lock"

    def temporary_name(self) -> str:
        """A fresh name for a hidden folder beside ``folder``: ``.<name>.<16 hex digits>.tmp``."""
        return f".{self.name}.{secrets.token_hex(8)}.tmp"

    def is_temporary(self, name: str) -> bool:
        """Whether ``name`` is one that ``temporary_name`` gives."""
        return re.fullmatch(re.escape(f".{self.name}.") + r"[0-9a-f]{16}\.tmp", name) is not None


def check_module_name(name: object) -> str:
    """``name`` if it is a plain file name of at most 100 bytes. Raises ModuleNameError."""
    hint = 'give a plain name such as "MediapipeNet", and the folder as output_folder_dir'
    if not isinstance(name, str):
        raise ModuleNameError(f"module_name is text, not {type(name).__name__}", hint=hint)
    reason = ""
    if not name:
        reason = "is empty"
    elif "/" in name or "\\" in name:
        reason = "has a path in it"
    elif name.startswith("."):
        reason = "starts with a dot"
    elif not name.isprintable() or name != name.strip():
        reason = "holds control characters, or space at an end"
    elif len(name.encode()) > MAX_NAME:
        reason = f"is {len(name.encode())} bytes long, and {MAX_NAME} is the limit"
    if reason:
        raise ModuleNameError(f"module_name {name[:MAX_NAME]!r} {reason}", hint=hint)
    return name


def check_target(output_dir: str | os.PathLike[str], name: str, *, wait: bool = True) -> Target:
    """Refuse a place that could not take the model folder, before anything is compiled. Leaves no trace.

    ``~`` expands. Raises ModuleNameError; OutputFolderError when ``<output_dir>/<name>`` holds something that
    Optima did not write, or when ``output_dir`` is a file or cannot be written or made; TargetBusyError when
    another process is writing there and ``wait`` is False.
    """
    check_module_name(name)
    text = os.fspath(output_dir)
    if not isinstance(text, str) or "\0" in text:
        raise OutputFolderError("output_folder_dir is not a path", hint="give text or a pathlib.Path")
    target = Target(Path(os.path.abspath(os.path.expanduser(text))), name)
    try:
        _check_root(target)
        check_folder(target.folder)
        if not wait:
            refuse_if_busy(target.lock_path, target.folder)
    except OSError as error:
        raise explain(error, target.folder) from error
    return target


def _check_root(target: Target) -> None:
    root = nearest = target.root
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputFolderError(
            f"the output folder {root} cannot be made: {nearest} is not a folder",
            hint="choose another output_folder_dir",
        )
    # Trying is the only test that quotas, root on a network share and /proc cannot fool.
    probe = nearest / target.temporary_name()
    probe.mkdir(mode=0o700)
    with suppress(FileNotFoundError):  # a writer of the same model may clean it up
        probe.rmdir()


def check_folder(folder: Path) -> None:
    """Raise OutputFolderError unless nothing, an empty folder or a folder of Optima's is at ``folder``.

    A symlink is refused although its target might be ours: replacing it would leave the target behind, and
    following it would write where the user did not point.
    """
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        found = "a symbolic link"
    elif not stat.S_ISDIR(mode):
        found = "a file"
    elif not (names := os.listdir(folder)) or is_optima_folder(folder):
        return
    else:
        shown = ", ".join(repr(n) for n in sorted(names)[:3])
        found = f"a folder that Optima did not write (it holds {shown}{', …' if len(names) > 3 else ''})"
    raise OutputFolderError(
        f"{folder} is {found}: it was left as it is",
        hint="choose another module_name or output_folder_dir, or move what is there",
    )


def is_optima_folder(folder: Path) -> bool:
    """Whether ``folder`` holds a ``model.meta`` of Optima's, of whatever format version."""
    meta = folder / MODEL_META
    try:
        info = os.lstat(meta)
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_META:
            return False
        value = json.loads(meta.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(value, dict)
        and type(value.get("format_version")) is int
        and type(value.get("kernel_abi")) is int
        and isinstance(value.get("subgraphs"), list)
    )


def explain(error: OSError, place: Path, needed: int = 0) -> OutputFolderError:
    """An OSError met while writing ``place`` as a refusal; ``needed`` is the model's size in bytes."""
    reason = (error.strerror or str(error)).lower()
    size = f"{needed:,} bytes" if needed else "the model"
    other = "choose another output_folder_dir"
    hint = {
        errno.ENOSPC: f"make room for {size} there, or {other}",
        errno.EDQUOT: f"make room for {size} in your quota there, or {other}",
        errno.EFBIG: f"raise the limit of file sizes (ulimit -f) to hold {size}, or {other}",
        errno.ENAMETOOLONG: "shorten output_folder_dir or module_name",
        errno.EACCES: f"{other}, or get permission with chmod or chown",
        errno.EPERM: f"{other}, or get permission with chmod or chown",
        errno.EROFS: f"{other}: this one is on a read-only file system",
    }.get(error.errno or 0, other)
    return OutputFolderError(f"cannot write {place}: {reason}; what was there is as it was", hint=hint)
