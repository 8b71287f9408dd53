"""What may be known of a ``.dlc``: that there is exactly one, that it is an archive with a model in it, its hash.

Its content is Qualcomm's and is not looked into.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from optima.tools import ToolFailed

#: entries that say when and by what command it was made: they differ from run to run
_HISTORY = "dlc.metadata"


def the_only_dlc(folder: Path, tool: str, said: str) -> bytes:
    """The ``.dlc`` in ``folder``. Raises ToolFailed for none, several, or a file that is no DLC."""
    found = sorted(folder.glob("*.dlc")) if folder.is_dir() else []
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise ToolFailed(
            f"{tool} wrote {len(found)} .dlc files where one was expected: {names}",
            hint=f"it said: {said.strip()[-500:] or 'nothing'}",
        )
    data = found[0].read_bytes()
    refuse_other(data, tool, said)
    return data


def refuse_other(data: bytes, tool: str, said: str) -> None:
    """Raise ToolFailed unless the bytes are an archive with an entry ``model``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            has_model = "model" in archive.namelist()
    except zipfile.BadZipFile:
        has_model = False
    if not has_model:
        raise ToolFailed(
            f"{tool} wrote a file that is no DLC: {len(data)} bytes without the entry 'model'",
            hint=f"it said: {said.strip()[-500:] or 'nothing'}",
        )


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
