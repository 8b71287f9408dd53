"""``kill -9`` of the writer at random moments, 60 times: the old folder or the new one, whole."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from optima.artifact import writer as writer_module
from optima.artifact.lock import hold
from optima.artifact.reader import read_model
from optima.artifact.target import check_target
from optima.artifact.workspace import recover
from tests.artifact.models import write

KILLS = 30


def killed_after(seconds: float, work: Callable[[], None]) -> None:
    """Run ``work`` over and over in a child, and kill it after a while."""
    child = os.fork()
    if child == 0:
        _for_ever(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _for_ever(work: Callable[[], None]) -> NoReturn:
    try:
        while True:
            work()
    finally:
        os._exit(1)


def kernel_of(folder: Path) -> int:
    artifact = read_model(folder)
    kernels = {artifact.subgraph_view(i).files["kernel.so"] for i in range(2)}
    assert len(kernels) == 1, "files of two versions in one folder"
    (kernel,) = kernels
    assert len(kernel) == 5000 and len(set(kernel)) == 1
    return kernel[0]


@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two steps"])
def test_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool) -> None:
    if not atomic:
        monkeypatch.setattr(writer_module, "exchange", lambda *_: False)
    # A kill loses no page cache; without the waits more moments are tried.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    rng = random.Random(0)
    version = 0
    write(tmp_path, bytes([version]) * 5000)
    target = check_target(tmp_path, "Net")
    changed = 0
    for _ in range(KILLS):
        new = version + 1
        killed_after(rng.uniform(0, 0.03), lambda kernel=bytes([new]) * 5000: write(tmp_path, kernel))
        if not atomic:
            with hold(target.lock_path, target.folder, wait=False):
                recover(target)
        found = kernel_of(tmp_path / "Net")
        assert found in (version, new)
        changed += found == new
        version = found
    assert changed > 0
    write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["Net"], "the next write clears what the killed left"
