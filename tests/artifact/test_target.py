"""What may and may not be replaced, and what is said before anything is compiled."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from optima.artifact.errors import ModuleNameError, OutputFolderError, TargetBusyError
from optima.artifact.lock import hold
from optima.artifact.target import check_target
from tests.artifact.models import snapshot, write

GOOD_META = b'{"format_version": 99, "kernel_abi": 7, "subgraphs": []}'


@pytest.mark.parametrize("name", ["Net", "a", "ResNet-18_v1.5 (test)", "모델", "x" * 100, "a..b", "CON"])
def test_plain_names_are_taken(tmp_path: Path, name: str) -> None:
    assert check_target(tmp_path, name).folder == tmp_path / name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "/a", "a\\b", "a\0b", "a\nb", "a\x7fb", "a\u202eb", "\ud800", " a",
     "a ", "x" * 101, "é" * 51, None, 3, b"Net", Path("Net")],
)  # fmt: skip
def test_other_names_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(ModuleNameError) as caught:
        check_target(tmp_path, name)  # type: ignore[arg-type]
    assert "output_folder_dir" in caught.value.hint
    str(caught.value).encode()


def test_a_folder_to_be_made_is_not_made_by_the_check(tmp_path: Path) -> None:
    target = check_target(tmp_path / "a" / "b", "Net")
    assert list(tmp_path.iterdir()) == []
    assert target.root == tmp_path / "a" / "b"


def test_home_expands_and_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert check_target("~/outputs", "Net").root == tmp_path / "outputs"
    assert check_target("outputs/../x", "Net").root == tmp_path / "x"


@pytest.mark.parametrize("output", ["/proc", "/proc/1/outputs", "{file}", "{file}/outputs", "{dangling}", "a\0b", b"x"])
def test_output_folders_that_cannot_be(tmp_path: Path, output: object) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    if isinstance(output, str):
        output = output.format(file=tmp_path / "file", dangling=tmp_path / "link")
    with pytest.raises(OutputFolderError) as caught:
        check_target(output, "Net")  # type: ignore[arg-type]
    assert caught.value.hint
    assert (tmp_path / "file").read_text() == "x"


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match="too long") as caught:
        check_target(tmp_path / ("x" * 300), "Net")
    assert "shorten" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputFolderError, match="permission"):
        check_target(tmp_path, "Net")


def photographs(folder: Path) -> None:
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"miaow")


def another_meta(folder: Path) -> None:
    folder.mkdir()
    (folder / "model.meta").write_text('{"framework": "other"}')


def meta_that_is_no_json(folder: Path) -> None:
    folder.mkdir()
    (folder / "model.meta").write_bytes(GOOD_META[:-1])


def meta_that_is_nested_too_deep(folder: Path) -> None:
    folder.mkdir()
    (folder / "model.meta").write_bytes(b"[" * 100_000)


def meta_that_is_a_link(folder: Path) -> None:
    photographs(folder)
    (folder.parent / "meta").write_bytes(GOOD_META)
    (folder / "model.meta").symlink_to(folder.parent / "meta")


def meta_that_is_a_folder(folder: Path) -> None:
    (folder / "model.meta").mkdir(parents=True)


def link_to_a_model(folder: Path) -> None:
    folder.symlink_to(write(folder.parent / "elsewhere"))


def link_to_nothing(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def file(folder: Path) -> None:
    folder.write_text("x")


def pipe(folder: Path) -> None:
    os.mkfifo(folder)


@pytest.mark.parametrize(
    "make",
    [photographs, another_meta, meta_that_is_no_json, meta_that_is_nested_too_deep, meta_that_is_a_link,
     meta_that_is_a_folder, link_to_a_model, link_to_nothing, file, pipe],
)  # fmt: skip
def test_what_is_not_ours_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "Net")
    before, kind = snapshot(tmp_path), os.lstat(tmp_path / "Net")
    with pytest.raises(OutputFolderError, match="Net") as caught:
        write(tmp_path)
    assert "module_name" in caught.value.hint
    assert snapshot(tmp_path) == before and os.path.samestat(os.lstat(tmp_path / "Net"), kind)


def test_the_error_says_what_is_there(tmp_path: Path) -> None:
    photographs(tmp_path / "Net")
    with pytest.raises(OutputFolderError, match=r"cat\.jpg"):
        check_target(tmp_path, "Net")


def test_an_empty_folder_and_a_newer_optimas_model_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "Net").mkdir()
    write(tmp_path)
    (tmp_path / "Net" / "model.meta").write_bytes(GOOD_META)
    (tmp_path / "Net" / "extra").write_text("x")
    write(tmp_path)
    assert "extra" not in snapshot(tmp_path / "Net")


def test_the_output_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert (tmp_path / "real" / "Net" / "model.meta").is_file()


def test_a_busy_target_is_refused_up_front_if_waiting_is_not_wanted(tmp_path: Path) -> None:
    target = check_target(tmp_path, "Net", wait=False)
    with hold(target.lock_path, target.folder, wait=True):
        with pytest.raises(TargetBusyError, match=str(os.getpid())):
            check_target(tmp_path, "Net", wait=False)
        check_target(tmp_path, "Net")
        check_target(tmp_path, "Other", wait=False)
    check_target(tmp_path, "Net", wait=False)
