"""Several files as the bytes of one job's result."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_THE_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: equal files give equal bytes


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as one archive, in order of their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _THE_DAY), data)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files that ``pack`` put together."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
