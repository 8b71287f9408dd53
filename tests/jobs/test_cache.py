"""The cache never gives other bytes than were put, whatever happens to its files."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from devices import InternalError
from optima.jobs import cache as cache_module
from optima.jobs.cache import DEFAULT_SIZE, Cache
from optima.jobs.errors import CacheSizeError


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def entries(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())


def age(root: Path, number: int, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(root / "v1" / key(number)[:2] / key(number), (when, when))


def test_bytes_come_back_also_in_another_process_life(tmp_path: Path) -> None:
    for data in (b"", b"x", os.urandom(100_000)):
        Cache(tmp_path).put(key(1), data)
        assert Cache(tmp_path).get(key(1)) == data
    assert Cache(tmp_path).get(key(2)) is None
    assert len(entries(tmp_path)) == 1


def test_a_cache_that_was_never_written_makes_no_folder(tmp_path: Path) -> None:
    assert Cache(tmp_path / "c").get(key(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_enter(tmp_path: Path) -> None:
    Cache(tmp_path / "c").put(key(1), b"x")
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n"])
def test_a_key_that_is_none_is_our_fault(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InternalError):
        Cache(tmp_path).get(bad)
    with pytest.raises(InternalError):
        Cache(None).put(bad, b"")


def test_any_flipped_or_lost_byte_is_a_miss_and_goes_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(tmp_path)
    cache.put(key(1), b"kernel")
    (path,) = entries(tmp_path)
    good = path.read_bytes()
    spoilt = [good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in range(len(good))]
    spoilt += [good[:i] for i in range(len(good))] + [good + b"\0"]
    for raw in spoilt:
        path.write_bytes(raw)
        assert cache.get(key(1)) is None
        assert not path.exists()
    assert "damaged" in caplog.text
    cache.put(key(1), b"kernel")
    assert cache.get(key(1)) == b"kernel"


def test_an_entry_at_another_keys_place_is_a_miss(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(key(1), b"one")
    cache.put(key(2), b"two")
    one, two = (tmp_path / "v1" / key(i)[:2] / key(i) for i in (1, 2))
    two.write_bytes(one.read_bytes())
    assert cache.get(key(2)) is None and cache.get(key(1)) == b"one"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size=10_000)
    for number in range(9):
        cache.put(key(number), bytes(1000))
        age(tmp_path, number, 1000 - number)
    assert cache.get(key(0)) is not None  # now the youngest
    cache.put(key(9), bytes(1000))
    held = [n for n in range(10) if Cache(tmp_path).get(key(n)) is not None]
    assert held == [0, *range(10 - len(held) + 1, 10)] and 7 <= len(held) <= 9
    assert sum(p.stat().st_size for p in entries(tmp_path)) <= 10_000


def test_a_full_cache_of_an_earlier_run_is_pruned_at_once(tmp_path: Path) -> None:
    big = Cache(tmp_path)
    for number in range(10):
        big.put(key(number), bytes(1000))
    Cache(tmp_path, size=3000).put(key(99), bytes(10))
    assert sum(p.stat().st_size for p in entries(tmp_path)) <= 3000


def test_an_entry_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size=1000)
    cache.put(key(1), bytes(500))
    cache.put(key(2), bytes(1001))
    assert cache.get(key(2)) is None and cache.get(key(1)) is not None


def test_temporary_files_of_killed_writers_go_once_they_are_old(tmp_path: Path) -> None:
    Cache(tmp_path).put(key(1), b"x")
    folder = tmp_path / "v1" / key(1)[:2]
    old, young = folder / "old.tmp", folder / "young.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Cache(tmp_path).put(key(2), b"x")
    assert not old.exists() and young.exists()


@pytest.mark.parametrize("place", ["/proc/optima-cache", "{file}", "{file}/below"])
def test_a_folder_that_cannot_be_used_is_one_warning(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    cache = Cache(Path(place.format(file=tmp_path / "file")))
    for _ in range(3):
        cache.put(key(1), b"x")
        assert cache.get(key(1)) is None
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "compiled anew" in caplog.text


def test_a_full_disk_leaves_no_half_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = Cache(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        cache.put(key(1), b"x")
    assert entries(tmp_path) == [] and cache.get(key(1)) is None


def test_an_entry_that_is_a_folder_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "v1" / key(1)[:2] / key(1)).mkdir(parents=True)
    cache = Cache(tmp_path)
    assert cache.get(key(1)) is None
    cache.put(key(1), b"x")


def hammer(root: Path, seed: int) -> None:
    cache = Cache(root, size=20_000)
    for turn in range(150):
        number = (seed * 7 + turn) % 40
        found = cache.get(key(number))
        if found not in (None, bytes([number]) * 1000):
            os._exit(3)
        cache.put(key(number), bytes([number]) * 1000)


def test_processes_share_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=hammer, args=(tmp_path, i)) for i in range(4)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * 4
    assert not [p for p in entries(tmp_path) if p.suffix == ".tmp"]


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OPTIMA_CACHE_DIR", "OPTIMA_CACHE_SIZE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    return monkeypatch


def test_where_it_lies(no_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Cache.default().root == Path("/home/someone/.cache/optima")
    no_settings.setenv("XDG_CACHE_HOME", "relative")
    assert Cache.default().root == Path("/home/someone/.cache/optima")
    no_settings.setenv("XDG_CACHE_HOME", "/xdg")
    assert Cache.default().root == Path("/xdg/optima")
    no_settings.setenv("OPTIMA_CACHE_DIR", "~/kernels")
    assert Cache.default().root == Path("/home/someone/kernels")
    no_settings.chdir(tmp_path)
    no_settings.setenv("OPTIMA_CACHE_DIR", "here")
    assert Cache.default().root == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "size"),
    [("", DEFAULT_SIZE), ("0", 0), ("1000", 1000), ("4G", 4 << 30), (" 512 MiB ", 512 << 20), ("2kb", 2048)],
)
def test_how_large_it_may_be(no_settings: pytest.MonkeyPatch, text: str, size: int) -> None:
    no_settings.setenv("OPTIMA_CACHE_SIZE", text)
    cache = Cache.default()
    assert cache.size == size and (cache.root is None) == (size == 0)


@pytest.mark.parametrize("text", ["lots", "-1", "1.5G", "1e9", "G", "٣"])
def test_a_size_that_is_none(no_settings: pytest.MonkeyPatch, text: str) -> None:
    no_settings.setenv("OPTIMA_CACHE_SIZE", text)
    with pytest.raises(CacheSizeError, match="OPTIMA_CACHE_SIZE") as caught:
        Cache.default()
    assert "4G" in caught.value.hint


def test_without_a_home(no_settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    no_settings.setattr(cache_module.os.path, "expanduser", lambda path: path)
    cache = Cache.default()
    cache.put(key(1), b"x")
    assert cache.get(key(1)) is None and "OPTIMA_CACHE_DIR" in caplog.text
