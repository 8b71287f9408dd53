"""Every byte is checked before use, and every refusal says what is wrong and what to do."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optima.artifact.errors import ArtifactError
from optima.artifact.manifest import WEIGHTS, FileMeta, SubgraphMeta, json_bytes
from optima.artifact.reader import digest_of, read_model
from optima.artifact.target import check_target
from optima.artifact.weights import pack_weights
from optima.artifact.writer import write_model
from tests.artifact.models import ALIAS, constant, model_files, model_meta, subgraph, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def edit_meta(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``model.meta`` as an attacker would; its other files' hashes stay right."""
    path = folder / "model.meta"
    meta = json.loads(path.read_bytes())
    change(meta)
    path.write_bytes(json_bytes(meta))


def relist(folder: Path, path: str) -> None:
    """Give ``model.meta`` the hash and size that ``path`` has now."""
    data = (folder / path).read_bytes()

    def change(meta: dict[str, Any]) -> None:
        meta["files"] = [f for f in meta["files"] if f["path"] != path]
        meta["files"].append({"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})

    edit_meta(folder, change)


def refused(folder: Path, *matches: str, digest: str | None = None) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        read_model(folder, digest)
    text = str(caught.value)
    for match in matches:
        assert match in text, text
    assert caught.value.hint
    return caught.value


def test_what_was_written_comes_back(folder: Path) -> None:
    artifact = read_model(folder)
    assert artifact.meta == model_meta(files=artifact.meta.files)
    w = constant()
    for index in range(2):
        view = artifact.subgraph_view(index)
        assert view.name == f"subgraph_{index}"
        assert view.files == {"kernel.so": b"\x7fELF"}
        assert view.meta["constants"][0]["recipe"] == ["param", "w"]
        assert (view.inputs, view.outputs) == ((f"tensor_{index}",), (f"tensor_{index + 1}",))
        assert np.array_equal(view.constants["w"], w.array)
        assert view.constants["w"].ctypes.data % 64 == 0
    one, other = (artifact.subgraph_view(i).constants["w"] for i in range(2))
    assert one is other, "subgraphs share the store"


def test_it_needs_neither_torch_nor_tvm_nor_networkx(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'tvm', 'networkx'): sys.modules[name] = None\n"
        "from optima.artifact.reader import read_model\n"
        "print(read_model(sys.argv[1]).subgraph_view(1).name)"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "subgraph_1\n"


def test_constants_of_the_whole_model(tmp_path: Path) -> None:
    w = constant("tensor_9", 3)
    files = {**model_files(), WEIGHTS: pack_weights([constant(), w])}
    meta = model_meta(constants={"tensor_9": w.key})
    artifact = read_model(write_model(check_target(tmp_path, "Net"), meta, files))
    assert np.array_equal(artifact.constants["tensor_9"], w.array)


def test_a_subgraph_in_a_subgraphs_folder(tmp_path: Path) -> None:
    """Alternatives lie within; each view has its own files alone, the outer one both."""
    inner = SubgraphMeta(**{**subgraph(1).model_dump(), "folder": "Subgraph_0/alternative_1"})
    files = {
        WEIGHTS: pack_weights([]),
        "Subgraph_0/subgraph_0.meta": b"{}",
        "Subgraph_0/a.so": b"a",
        "Subgraph_0/alternative_1/alternative_1.meta": b"{}",
        "Subgraph_0/alternative_1/b.so": b"b",
    }
    meta = model_meta(subgraphs=(subgraph(0), inner))
    artifact = read_model(write_model(check_target(tmp_path, "Net"), meta, files))
    assert artifact.subgraph_view(1).files == {"b.so": b"b"}


def test_the_digest_ties_the_folder_to_its_maker(folder: Path) -> None:
    digest = hashlib.sha256((folder / "model.meta").read_bytes()).hexdigest()
    assert digest_of(folder) == digest == read_model(folder, digest.upper()).digest
    refused(folder, "asked for", digest, digest="0" * 64)
    refused(folder, "asked for", digest="")


def test_report_json_is_free(folder: Path) -> None:
    (folder / "report.json").write_text("anything")
    read_model(folder)
    (folder / "report.json").unlink()
    read_model(folder)


def test_a_link_to_the_folder_and_home_are_followed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "current").symlink_to(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_model("~/current").meta.name == "Net"


def test_all_damage_comes_in_one_error(folder: Path, tmp_path: Path) -> None:
    (folder / "Subgraph_0" / "kernel.so").write_bytes(b"\x7fELG")
    (folder / "Subgraph_1" / "kernel.so").unlink()
    (folder / "Subgraph_1" / "extra.so").write_bytes(b"x")
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/passwd")
    error = refused(folder)
    assert {p.subject: p.reason.split(":")[0] for p in error.problems} == {
        "Subgraph_0/kernel.so": "was changed",
        "Subgraph_1/kernel.so": "is missing",
        "Subgraph_1/extra.so": "is not in model.meta",
        WEIGHTS: f"has {weights.stat().st_size} bytes instead of {weights.stat().st_size + 1}",
        "pipe": "is neither a file nor a folder",
        "link": "is a symbolic link, and an artifact has none",
    }


def test_links_are_refused_even_to_the_right_bytes(folder: Path, tmp_path: Path) -> None:
    kernel = folder / "Subgraph_0" / "kernel.so"
    kernel.rename(tmp_path / "kernel.so")
    kernel.symlink_to(tmp_path / "kernel.so")
    (folder / "Subgraph_1").rename(tmp_path / "Subgraph_1")
    (folder / "Subgraph_1").symlink_to(tmp_path / "Subgraph_1")
    refused(folder, "Subgraph_0/kernel.so", "Subgraph_1 ", "symbolic link")


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "Subgraph_0/../../secret", "a//b", "./x", "a\\b"])
def test_listed_paths_stay_in_the_folder(folder: Path, path: str) -> None:
    secret = b"s3cret"
    (folder.parent / "secret").write_bytes(secret)
    listed = FileMeta(path=path, sha256=hashlib.sha256(secret).hexdigest(), size=len(secret))
    edit_meta(folder, lambda meta: meta["files"].append(listed.model_dump()))
    refused(folder, "leads out of the folder")


@pytest.mark.parametrize("place", ["", "nowhere", "file", "file/x", "empty", "a\0b"])
def test_what_is_no_model_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / place, str(tmp_path))


def test_a_newer_format_is_refused_with_the_version_to_install(folder: Path) -> None:
    def newer(meta: dict[str, Any]) -> None:
        meta.update(format_version=2, toolchain={"optima": "7.1"}, subgraphs="something new")

    edit_meta(folder, newer)
    refused(folder, "format version 2", "reads up to 1", "install Optima 7.1 or newer")
    edit_meta(folder, lambda meta: meta.update(toolchain={"optima": "1'; rm -rf ~ #"}))
    assert "rm -rf" not in str(refused(folder, "install a newer Optima"))


def test_another_kernel_abi_is_refused(folder: Path) -> None:
    edit_meta(folder, lambda meta: meta.update(kernel_abi=2))
    refused(folder, "ABI 2", "install Optima 0.1.0 or newer")
    edit_meta(folder, lambda meta: meta.update(kernel_abi=0))
    refused(folder, "ABI 0", "compile the model again")


@pytest.mark.parametrize("cut", [0, 1, 100, -2])
def test_a_manifest_that_is_cut_off(folder: Path, cut: int) -> None:
    meta = folder / "model.meta"
    meta.write_bytes(meta.read_bytes()[:cut])
    refused(folder, "cut off or not JSON")


@pytest.mark.parametrize(
    "content",
    [b"[]", b"null", b"{}", b'{"format_version": "1"}', b'{"format_version": true}', b"[" * 100_000, b"\xff"],
)
def test_a_manifest_that_is_something_else(folder: Path, content: bytes) -> None:
    (folder / "model.meta").write_bytes(content)
    refused(folder, "model.meta")


HOSTILE: dict[str, dict[str, Any]] = {
    "unknown key": {"plugins": ["evil"]},
    "version 0": {"format_version": 0},
    "abi is text": {"kernel_abi": "1"},
    "name is a number": {"name": 3},
    "number as text": {"request_bytes": "192"},
    "negative size": {"weight_bytes": -1},
    "files is no list": {"files": {}},
    "hash is short": {"files": [{"path": "a", "sha256": "ab", "size": 0}]},
    "negative shape": {"inputs": [{"name": "x", "shape": [-1], "dtype": "float32"}]},
    "unknown dtype": {"inputs": [{"name": "x", "shape": [1], "dtype": "object"}]},
    "two inputs of one name": {"inputs": [{"name": "x", "shape": [1], "dtype": "bool"}] * 2},
    "folder leaves": {"subgraphs": [{**subgraph(0).model_dump(), "folder": "../x"}], "transfers": []},
    "folder is absolute": {"subgraphs": [{**subgraph(0).model_dump(), "folder": "/etc"}], "transfers": []},
    "no meta": {"subgraphs": [{**subgraph(0).model_dump(), "folder": "Subgraph_7"}], "transfers": []},
    "no device": {"subgraphs": [{**subgraph(0).model_dump(), "devices": []}], "transfers": []},
    "subgraph twice": {"subgraphs": [subgraph(0).model_dump()] * 2, "transfers": []},
    "transfer to nowhere": {"transfers": [{**ALIAS.model_dump(), "target": "subgraph_9"}]},
    "transfer of no kind": {"transfers": [{**ALIAS.model_dump(), "kind": "teleport"}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifests(folder: Path, name: str) -> None:
    edit_meta(folder, lambda meta: meta.update(HOSTILE[name]))
    assert "model.meta" in str(refused(folder))


def test_a_file_listed_twice(folder: Path) -> None:
    edit_meta(folder, lambda meta: meta["files"].append(meta["files"][0]))
    refused(folder, "occurs 2 times")


def test_a_hostile_weights_file_with_the_right_hash(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\xff" * 64)
    relist(folder, WEIGHTS)
    refused(folder, "cut off or not a safetensors file")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"constants": 3}', "names and keys"),
        (b'{"constants": [{"name": "w"}]}', "names and keys"),
        (b'{"constants": [{"name": "w", "key": "beef"}]}', "weights.safetensors lacks"),
        (b'{"constants": [{"name": "w", "key": "pad.0"}]}', "weights.safetensors lacks"),
    ],
)
def test_a_hostile_subgraph_meta_with_the_right_hash(folder: Path, content: bytes, match: str) -> None:
    path = "Subgraph_1/subgraph_1.meta"
    (folder / path).write_bytes(content)
    relist(folder, path)
    artifact = read_model(folder)
    artifact.subgraph_view(0)
    with pytest.raises(ArtifactError, match=match):
        artifact.subgraph_view(1)


def test_a_sparse_file_that_claims_more_than_memory(folder: Path) -> None:
    size = 1 << 43
    if Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "1":
        pytest.skip("this system promises any amount of memory")
    try:
        os.truncate(folder / WEIGHTS, size)
    except OSError:
        pytest.skip("this file system has no files that large")
    edit_meta(folder, lambda meta: [f.update(size=size) for f in meta["files"] if f["path"] == WEIGHTS])
    refused(folder, "memory")
