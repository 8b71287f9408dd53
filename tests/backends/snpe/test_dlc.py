"""What is known of a .dlc: one file, an archive with a model, a hash without its history."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from optima.backends.snpe.dlc import content_sha256, the_only_dlc
from optima.tools import ToolFailed
from tests.backends.snpe.fake_sdk import dlc_bytes


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in entries.items():
            made.writestr(name.replace("_", "."), data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "wrote 0 .dlc files where one was expected: none"),
        ({"a.dlc": dlc_bytes(), "b.dlc": dlc_bytes()}, "wrote 2 .dlc files where one was expected: a.dlc, b.dlc"),
        ({"a.dlc": b""}, "no DLC: 0 bytes"),
        ({"a.dlc": bytes(range(256))}, "no DLC: 256 bytes"),
        ({"a.dlc": archive(other=b"x")}, "without the entry 'model'"),
        ({"a.dlc": dlc_bytes()[:40]}, "no DLC: 40 bytes"),
    ],
)
def test_anything_but_one_dlc_is_refused(tmp_path: Path, files: dict[str, bytes], match: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ToolFailed, match=match) as refused:
        the_only_dlc(tmp_path, ["tool", "a b"], "its words", env={"ROOT": "/sdk"})
    assert "its words" in refused.value.message
    assert refused.value.hint == "repeat it with: ROOT=/sdk tool 'a b'"


def test_the_hash_leaves_out_when_it_was_made() -> None:
    first = archive(model=b"m", model_params=b"p", dlc_metadata2=b"monday")
    assert content_sha256(first) == content_sha256(archive(dlc_metadata2=b"tuesday", model_params=b"p", model=b"m"))
    assert content_sha256(first) != content_sha256(archive(model=b"n", model_params=b"p"))


def test_checksums_that_the_writer_leaves_out_do_no_harm() -> None:
    data = dlc_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        crc = made.getinfo("model").CRC.to_bytes(4, "little")
    assert content_sha256(data.replace(crc, bytes(4))) == content_sha256(data)
