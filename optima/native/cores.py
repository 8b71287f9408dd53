"""How many cores this process may use: CPU affinity, bounded by the cgroup's CPU quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """The number of threads that can run at once, at least 1.

    ``root`` is where ``proc`` and ``sys`` lie (tests give a folder of their own). A quota of 1.5 cores counts
    as 2: the kernel grants it in slices, and rounding down would leave a third of it unused.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([allowed, *quotas]))


def _quotas(root: Path) -> Iterator[float]:
    """The quota in cores of this process's cgroup and of every group above it, where one is set."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            for folder in _upwards(root / "sys/fs/cgroup", path):
                yield from _quota_v2(folder)
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup/cpu", path):
                yield from _quota_v1(folder)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """The group's folder, then its parents up to the mount; a container may see only the mount itself."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _quota_v2(folder: Path) -> Iterator[float]:
    """``cpu.max`` holds "<quota> <period>" in microseconds, or "max <period>" (cgroup-v2.rst)."""
    match _text(folder / "cpu.max").split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
            yield int(quota) / int(period)


def _quota_v1(folder: Path) -> Iterator[float]:
    """``cpu.cfs_quota_us`` over ``cpu.cfs_period_us``; a quota of -1 means none (sched-bwc.rst)."""
    quota = _text(folder / "cpu.cfs_quota_us").strip()
    period = _text(folder / "cpu.cfs_period_us").strip()
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    """The file's text, "" where it is absent or unreadable: then it sets no bound."""
    try:
        return path.read_text()
    except OSError:
        return ""
