"""How many cores: affinity, bounded by cgroup quotas of both versions, on made-up file trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optima.native import available_cores


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "sys/fs/cgroup/cpu"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, 16),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
          "sys/fs/cgroup/a/b/cpu.max": "500000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "5:cpuacct,cpu:/d\n", f"{V1}/d/cpu.cfs_quota_us": "250000\n",
          f"{V1}/d/cpu.cfs_period_us": "100000\n"}, 3),
        ({"proc/self/cgroup": "5:cpu:/d\n", f"{V1}/cpu.cfs_quota_us": "-1\n",
          f"{V1}/cpu.cfs_period_us": "100000\n"}, 16),
        ({"proc/self/cgroup": "4:cpuset:/d\nnonsense\n", "sys/fs/cgroup/cpu.max": "1 x y"}, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, 16),
    ],
)  # fmt: skip
def test_quotas_bound_the_cores(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert available_cores(tree(tmp_path, files)) == cores


def test_affinity_bounds_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert available_cores(tmp_path) == 1
