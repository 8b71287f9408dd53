"""What may be known of a ``.dlc``: that there is exactly one, that it is an archive with a model in it, its hash.

Its content is Qualcomm's and is not looked into.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from optima.tools import tool_failed

#: entries that say when and by what command it was made: they differ from run to run
_HISTORY = "dlc.metadata"


def the_only_dlc(
    folder: Path, command: Sequence[str], said: str, *, env: Mapping[str, str] | None = None, called: str = ""
) -> bytes:
    """The ``.dlc`` that ``command`` wrote into ``folder``, saying ``said``; ``env`` and ``called`` as for ``run_tool``.

    Raises ToolFailed for none, several, or a file that is no archive with an entry ``model``.
    """
    found = sorted(folder.glob("*.dlc")) if folder.is_dir() else []
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        how = f"wrote {len(found)} .dlc files where one was expected: {names}"
        raise tool_failed(command, how, said, env=env, called=called)
    data = found[0].read_bytes()
    if not _has_model(data):
        how = f"wrote a file that is no DLC: {len(data)} bytes without the entry 'model'"
        raise tool_failed(command, how, said, env=env, called=called)
    return data


def _has_model(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "model" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def content_sha256(data: bytes) -> str:
    """sha256 (hex) over names and bytes of all entries but the history: equal for equal models."""
    digest = hashlib.sha256()
    for name, content in _entries(data):
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in sorted(archive.infolist(), key=lambda e: e.filename):
            if not entry.filename.startswith(_HISTORY):
                # Qualcomm's writer leaves the checksums 0; without the field zipfile does not compare.
                del entry.CRC
                with archive.open(entry) as stream:
                    yield entry.filename, stream.read()
