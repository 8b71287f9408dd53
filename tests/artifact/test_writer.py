"""Old or new, whole: what the writer leaves when it succeeds, fails, is killed or meets another."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devices import InternalError
from optima.artifact import exchange as exchange_module
from optima.artifact import writer as writer_module
from optima.artifact.errors import OutputFolderError, TargetBusyError
from optima.artifact.exchange import exchange, replace_in_two_steps
from optima.artifact.lock import hold
from optima.artifact.reader import read_model
from optima.artifact.target import check_target
from optima.artifact.writer import write_model
from tests.artifact.models import model_files, model_meta, snapshot, write


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_tree_and_the_manifest(tmp_path: Path) -> None:
    folder = write(tmp_path)
    files = snapshot(folder)
    assert set(files) == {*model_files(), "model.meta", "report.json"}
    meta = json.loads(files["model.meta"])
    assert list(meta)[0] == "format_version" and list(meta)[1:] == sorted(list(meta)[1:])
    assert files["model.meta"].endswith(b"}\n")
    listed = {f["path"]: f for f in meta["files"]}
    assert set(listed) == set(model_files()) and list(listed) == sorted(listed)
    for path, f in listed.items():
        assert (f["sha256"], f["size"]) == (hashlib.sha256(files[path]).hexdigest(), len(files[path]))
    assert names_in(tmp_path) == ["Net"], "neither a lock nor a temporary folder stays"


def test_same_input_same_bytes(tmp_path: Path) -> None:
    one = write(tmp_path / "a")
    target = check_target(tmp_path / "b", "Net")
    other = write_model(target, model_meta(), dict(reversed(model_files().items())), lambda: b"{}\n")
    assert snapshot(one) == snapshot(other)


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = write(tmp_path)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "model.meta").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("how", ["exchange", "two steps", "no libc function"])
def test_a_model_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "two steps":
        monkeypatch.setattr(writer_module, "exchange", lambda *_: False)
    if how == "no libc function":
        monkeypatch.setattr(exchange_module, "_renameat2", lambda: None)
    write(tmp_path, b"old")
    (tmp_path / "Net" / "Subgraph_0" / "stale.so").write_bytes(b"x")
    folder = write(tmp_path, b"new")
    assert read_model(folder).subgraph_view(0).files == {"kernel.so": b"new"}
    assert names_in(tmp_path) == ["Net"]


def test_exchange_swaps_or_says_no(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange(tmp_path / "a", tmp_path / "b"), "this file system is expected to know RENAME_EXCHANGE"
    assert names_in(tmp_path / "a") == ["b"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "nowhere")


def test_a_failed_second_step_is_taken_back(tmp_path: Path) -> None:
    folder = write(tmp_path, b"old")
    with pytest.raises(FileNotFoundError):
        replace_in_two_steps(tmp_path / "nowhere", folder, tmp_path / "aside")
    assert read_model(folder).files


@pytest.mark.parametrize(
    "path", ["/a", "../a", "a/../b", "a//b", "./a", "", "a\\b", "a\nb", "model.meta", "report.json"]
)
def test_a_path_that_leaves_the_folder_is_our_fault(tmp_path: Path, path: str) -> None:
    with pytest.raises(InternalError):
        write_model(check_target(tmp_path, "Net"), model_meta(), {**model_files(), path: b""})
    with pytest.raises(InternalError, match="both a file and a folder"):
        write_model(check_target(tmp_path, "Net"), model_meta(), {"a": b"", "a/b": b""})
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_a_system_call_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str) -> None:
    write(tmp_path, b"old")
    before = snapshot(tmp_path)
    target = check_target(tmp_path, "Net")

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        patch.setattr(writer_module, "exchange", lambda *_: False)
        with pytest.raises(OutputFolderError, match=os.strerror(code).lower()) as caught:
            write_model(target, model_meta(), model_files(b"new"))
    assert caught.value.hint and snapshot(tmp_path) == before
    if code == errno.ENOSPC:
        assert "bytes" in caught.value.hint


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """RLIMIT_FSIZE cuts a write short as a full disk does, for real."""
    write(tmp_path, b"old")
    before = snapshot(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OutputFolderError, match="too large") as caught:
            write(tmp_path, bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "ulimit" in caught.value.hint
    assert snapshot(tmp_path) == before and names_in(tmp_path) == ["Net"]


def test_an_interrupt_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, b"old")
    before = snapshot(tmp_path)

    def interrupted() -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_model(check_target(tmp_path, "Net"), model_meta(), model_files(), interrupted)
    assert snapshot(tmp_path) == before and names_in(tmp_path) == ["Net"]


def test_something_else_that_appeared_since_the_check(tmp_path: Path) -> None:
    target = check_target(tmp_path, "Net")
    (tmp_path / "Net").mkdir()
    (tmp_path / "Net" / "thesis.txt").write_text("x")
    with pytest.raises(OutputFolderError, match=r"thesis\.txt"):
        write_model(target, model_meta(), model_files())
    assert snapshot(tmp_path) == {"Net/thesis.txt": b"x"}


def test_leftovers_of_the_dead_go_and_what_is_not_surely_ours_stays(tmp_path: Path) -> None:
    ours, empty = tmp_path / f".Net.{'0' * 16}.tmp", tmp_path / f".Net.{'1' * 16}.tmp"
    (ours / "new" / "Subgraph_0").mkdir(parents=True)
    (ours / "made-by-optima").touch()
    empty.mkdir()
    foreign = tmp_path / f".Net.{'2' * 16}.tmp"
    foreign.mkdir()
    (foreign / "diary").touch()
    other_model = tmp_path / f".Net2.{'3' * 16}.tmp"
    other_model.mkdir()
    link = tmp_path / f".Net.{'4' * 16}.tmp"
    link.symlink_to(other_model)
    write(tmp_path)
    assert names_in(tmp_path) == sorted(["Net", foreign.name, other_model.name, link.name])


def test_a_folder_that_was_set_aside_is_put_back(tmp_path: Path) -> None:
    folder = write(tmp_path, b"old")
    space = tmp_path / f".Net.{'0' * 16}.tmp"
    space.mkdir()
    (space / "made-by-optima").touch()
    folder.rename(space / "old")
    with pytest.raises(InternalError):  # a failure after the recovery
        write_model(check_target(tmp_path, "Net"), model_meta(), model_files(), _broken_report)
    assert read_model(tmp_path / "Net").subgraph_view(0).files == {"kernel.so": b"old"}
    assert names_in(tmp_path) == ["Net"]


def _broken_report() -> bytes:
    raise InternalError("no report")


def test_the_second_writer_waits_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = check_target(tmp_path, "Net")
    second = threading.Thread(target=write, args=(tmp_path,))
    with caplog.at_level(logging.WARNING), hold(target.lock_path, target.folder, wait=True):
        second.start()
        second.join(0.3)
        assert second.is_alive() and names_in(tmp_path) == [".Net.lock"]
    second.join(10)
    assert names_in(tmp_path) == ["Net"]
    assert f"waiting for process {os.getpid()}" in caplog.text


def test_the_second_writer_is_refused(tmp_path: Path) -> None:
    target = check_target(tmp_path, "Net")
    refused = pytest.raises(TargetBusyError, match=str(os.getpid()))
    with hold(target.lock_path, target.folder, wait=True), refused:
        write(tmp_path, wait=False)
    write(tmp_path, wait=False)


def test_many_writers_at_once(tmp_path: Path) -> None:
    """Threads of two processes; each round's folder is whole, and at the end nothing else is there."""
    code = (
        "import sys, threading; from pathlib import Path; from tests.artifact.models import write\n"
        "go = lambda k: [write(Path(sys.argv[1]), k * 1000) for _ in range(6)]\n"
        "ts = [threading.Thread(target=go, args=(bytes([i]),)) for i in range(3)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]"
    )
    running = [_python(code, tmp_path) for _ in range(2)]
    while any(process.poll() is None for process in running):
        if (tmp_path / "Net").exists():
            kernel = read_model(tmp_path / "Net").subgraph_view(1).files["kernel.so"]
            assert len(kernel) == 1000 and len(set(kernel)) == 1
    for process in running:
        assert b"Traceback" not in process.communicate()[1] and process.returncode == 0
    assert names_in(tmp_path) == ["Net"]


def _python(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from optima.artifact.lock import hold; from pathlib import Path\n"
        "with hold(Path(sys.argv[1]), Path('Net'), wait=True): print('held', flush=True); time.sleep(60)"
    )
    process = _python(code, tmp_path / ".Net.lock")
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(TargetBusyError, match=str(process.pid)):
        write(tmp_path, wait=False)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    write(tmp_path, wait=False)


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    stale = tmp_path / f".Net.{'0' * 16}.tmp"
    stale.mkdir()
    write(tmp_path)
    assert "without locks" in caplog.text
    assert stale.exists(), "without a lock its owner may be alive"
