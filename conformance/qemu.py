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

from devices import DeviceEnum

SOURCES = Path(__file__).parents[1] / "examples" / "c"
BUILD_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-rdynamic")
_BUILD_S, _RUN_S = 280, 240


class DriverDied(Exception):
    """The emulated process ended otherwise than a driver does that has gone through its plan."""


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
            return "ziglang is not installed: in Optima's clone: pip install '.[cross]'"
        if shutil.which(self.qemu) is None:
            return f"{self.qemu} is not installed: apt-get install qemu-user"
        if not Path(self.sysroot).is_dir():
            return f"{self.sysroot} is not there: apt-get install {self.debian}"
        return ""


MACHINES = {
    DeviceEnum.DEVICE_KIND_ARM64: Machine(
        "qemu-aarch64", "cortex-a53", "/usr/aarch64-linux-gnu",
        ("aarch64-linux-gnu.2.31",), "libc6-arm64-cross",
    ),
    DeviceEnum.DEVICE_KIND_ARM: Machine(
        "qemu-arm", "cortex-a7", "/usr/arm-linux-gnueabihf",
        ("arm-linux-gnueabihf.2.31", "-mcpu=cortex_a7"), "libc6-armhf-cross",
    ),
    DeviceEnum.DEVICE_KIND_X86: Machine(
        "qemu-i386", "pentium3,+sse2", "/usr/i686-linux-gnu",
        ("x86-linux-gnu.2.31", "-mcpu=pentium4"), "libc6-i386-cross",
    ),
}  # fmt: skip


@cache
def _driver(kind: DeviceEnum) -> Path:
    """``run_plan`` for a machine; the first build of a machine's C library takes seconds, and ziglang keeps it."""
    folder = Path(tempfile.mkdtemp(prefix="optima-driver-"))
    build = [sys.executable, "-m", "ziglang", "cc", "-target", *MACHINES[kind].zig, *BUILD_FLAGS]
    sources = [str(SOURCES / "host.c"), str(SOURCES / "run_plan.c")]
    command = [*build, "-o", "run_plan", *sources, "-ldl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "run_plan"


def run_plan(kind: DeviceEnum, folder: Path, emulated: str = "") -> list[str]:
    """Run ``plan.txt`` in ``folder`` on the baseline or another model of qemu's; what failed, one line each.

    Raises DriverDied when the process crashes or hangs: a plan after that was not run.
    """
    machine = MACHINES[kind]
    cpu = ["-cpu", emulated or machine.cpu]
    command = [machine.qemu, *cpu, "-L", machine.sysroot, str(_driver(kind)), "plan.txt"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_RUN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DriverDied(f"no end after {_RUN_S} s") from error
    if done.returncode not in (0, 1):
        raise DriverDied(f"the driver ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout.splitlines()
