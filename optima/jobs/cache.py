"""A content-addressed store of compiled bytes, shared by all processes of a user.

An entry is a file of its own, ``<root>/v1/<first two digits>/<key>``: a magic word, the sha256 of key and
data, the data. Written beside and renamed, so that a reader sees all of it or nothing; verified at each
reading, so that a torn or edited entry is a miss and goes away. Whoever can write in the folder can plant
code that later runs: it is made for its owner alone (0700).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devices import InternalError
from optima.jobs.errors import CacheSizeError

_LOG = logging.getLogger("optima.jobs")
_MAGIC = b"OPTIMA-CACHE-1\n\0"
_DIGEST = 32
_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".tmp"
#: bytes
DEFAULT_SIZE = 2 << 30
#: pruning goes down to this share of the limit, so that it need not happen at each new entry
_LOW_WATER = 0.9
#: seconds after which a temporary file has surely lost its writer
_STALE_S = 3600.0


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used_ns: int


class Cache:
    """Bytes by key (64 hex digits). Safe between threads and processes; a folder that cannot be used is a
    warning.

    ``root``: the folder, made at the first ``put``; None is a cache that holds nothing. ``size``: bytes;
    beyond it the entries that were not used for longest go.
    """

    def __init__(self, root: Path | None, size: int = DEFAULT_SIZE) -> None:
        self.root = root
        self.size = size
        self._lock = threading.Lock()
        # None: the folder was not measured yet
        self._used: int | None = None
        self._warned = False

    @classmethod
    def default(cls) -> Cache:
        """The user's: ``$OPTIMA_CACHE_DIR``, else ``$XDG_CACHE_HOME/optima``, else ``~/.cache/optima``.

        ``$OPTIMA_CACHE_SIZE`` is its limit: bytes, or with K, M, G, T (powers of 1024); 0 turns it off.
        Raises CacheSizeError if it is something else.
        """
        size = _size_of(os.environ.get("OPTIMA_CACHE_SIZE", ""))
        return cls(_default_root() if size else None, size)

    def get(self, key: str) -> bytes | None:
        """The bytes stored under ``key``, or None. A damaged entry is removed and is a miss."""
        path = self._path(key)
        if path is None:
            return None
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._warn(error)
            return None
        head = len(_MAGIC) + _DIGEST
        data = raw[head:]
        if raw[:head] != _MAGIC + _digest(key, data):
            _LOG.warning("removed a damaged cache entry: %s", path)
            with suppress(OSError):  # another process was faster, or we may only read: it stays a miss
                path.unlink()
            return None
        with suppress(OSError):  # a cache that we may only read still serves
            os.utime(path)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``. What fails is logged once and changes nothing."""
        path = self._path(key)
        total = len(_MAGIC) + _DIGEST + len(data)
        if self.root is None or path is None or total > self.size:
            return
        temporary = path.parent / f"{secrets.token_hex(8)}{_TEMPORARY}"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                file.write(_MAGIC + _digest(key, data))
                file.write(data)
            os.replace(temporary, path)
        except OSError as error:
            self._warn(error)
            with suppress(OSError):
                temporary.unlink()
            return
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._account(self.root, total)

    def _path(self, key: str) -> Path | None:
        if not _KEY.fullmatch(key):
            raise InternalError(f"a cache key is 64 hex digits, not {key[:80]!r}")
        return self.root / "v1" / key[:2] / key if self.root is not None else None

    def _account(self, root: Path, added: int) -> None:
        with self._lock:
            if self._used is not None:
                self._used += added
            if self._used is None or self._used > self.size:
                self._used = self._prune(root)

    def _prune(self, root: Path) -> int:
        """Remove what was not used for longest until the rest fits; returns the bytes that are left."""
        entries = sorted(_entries(root), key=lambda e: (e.used_ns, e.path.name))
        used = sum(entry.size for entry in entries)
        if used <= self.size:
            return used
        for entry in entries:
            if used <= self.size * _LOW_WATER:
                break
            with suppress(OSError):  # another process pruned it, or uses a system that forbids it
                entry.path.unlink()
            used -= entry.size
        return used

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("the cache %s cannot be used, so kernels are compiled anew: %s", self.root, error)


def _digest(key: str, data: bytes) -> bytes:
    # The key is part of it: an entry that was copied to another key's place is damaged too.
    digest = hashlib.sha256(key.encode())
    digest.update(data)
    return digest.digest()


def _entries(root: Path) -> Iterator[_Entry]:
    """Every entry; removes temporary files that killed writers left."""
    for folder in _scan(root / "v1"):
        for entry in _scan(folder):
            try:
                info = entry.stat()
            except OSError:
                continue  # removed by another process
            if entry.suffix != _TEMPORARY:
                yield _Entry(entry, info.st_size, info.st_mtime_ns)
            elif time.time() - info.st_mtime > _STALE_S:
                with suppress(OSError):
                    entry.unlink()


def _scan(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _default_root() -> Path | None:
    own = os.environ.get("OPTIMA_CACHE_DIR", "")
    if own:
        return Path(os.path.abspath(os.path.expanduser(own)))
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # the XDG specification says to ignore relative ones
        return Path(shared) / "optima"
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        _LOG.warning("no home folder, so compiled kernels are not kept: set OPTIMA_CACHE_DIR")
        return None
    return Path(home) / ".cache" / "optima"


def _size_of(text: str) -> int:
    if not text.strip():
        return DEFAULT_SIZE
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*([KMGT]?)(i?B)?\s*", text, re.IGNORECASE | re.ASCII)
    if match is None:
        raise CacheSizeError(
            f"OPTIMA_CACHE_SIZE={text!r} is not a size", hint="write bytes, or a number with K, M, G or T: 4G"
        )
    power = " KMGT".index(match[2].upper()) if match[2] else 0
    return int(match[1]) << (10 * power)
