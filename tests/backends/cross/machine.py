"""Other CPUs, emulated: qemu-user runs the example's driver in C, built by ziglang, over Debian's libraries."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "examples" / "c"
BUILD_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-rdynamic")


@dataclass(frozen=True)
class Machine:
    """An emulated kind of CPU: qemu's program and its name for the baseline's CPU, ziglang's for the system."""

    qemu: str
    cpu: str
    sysroot: str
    zig: tuple[str, ...]
    debian: str

    def missing(self) -> str:
        """What is not here to run it, "" for nothing."""
        if importlib.util.find_spec("ziglang") is None:
            return "ziglang is not installed: pip install 'optima[cross]'"
        if shutil.which(self.qemu) is None:
            return f"{self.qemu} is not installed: apt-get install qemu-user"
        if not Path(self.sysroot).is_dir():
            return f"{self.sysroot} is not there: apt-get install {self.debian}"
        return ""


MACHINES = {
    "ARM64": Machine(
        "qemu-aarch64", "cortex-a53", "/usr/aarch64-linux-gnu",
        ("aarch64-linux-gnu.2.31",), "libc6-arm64-cross",
    ),
    "ARM": Machine(
        "qemu-arm", "cortex-a7", "/usr/arm-linux-gnueabihf",
        ("arm-linux-gnueabihf.2.31", "-mcpu=cortex_a7"), "libc6-armhf-cross",
    ),
    "X86": Machine(
        "qemu-i386", "pentium3,+sse2", "/usr/i686-linux-gnu",
        ("x86-linux-gnu.2.31", "-mcpu=pentium4"), "libc6-i386-cross",
    ),
}  # fmt: skip


def need(name: str) -> Machine:
    """The machine, or the test is skipped with what is missing."""
    reason = MACHINES[name].missing()
    if reason:
        pytest.skip(reason)
    return MACHINES[name]


@cache
def _driver(name: str) -> Path:
    """``run_plan`` for a machine; the first build of a machine's C library takes seconds, and ziglang keeps it."""
    folder = Path(tempfile.mkdtemp(prefix="optima-driver-"))
    build = [sys.executable, "-m", "ziglang", "cc", "-target", *MACHINES[name].zig, *BUILD_FLAGS]
    sources = [str(SOURCES / "host.c"), str(SOURCES / "run_plan.c")]
    done = subprocess.run(
        [*build, "-o", "run_plan", *sources, "-ldl"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run_plan"


def run_plan(name: str, folder: Path, emulated: str = "") -> list[str]:
    """Run the plan that lies in ``folder``, on the baseline or another model of qemu's; what failed, one line each."""
    machine = MACHINES[name]
    cpu = ["-cpu", emulated or machine.cpu]
    command = [machine.qemu, *cpu, "-L", machine.sysroot, str(_driver(name)), "plan.txt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in (0, 1), f"the driver ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.splitlines()
