"""The linkers for other CPUs: lld out of ziglang's wheel, which needs nothing of the other system, or Debian's gcc."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from optima.tools import Tool, ToolMissing, program, python_package


@dataclass(frozen=True)
class Architecture:
    """How the tools name an architecture. ``compile_flags``: the least CPU of its kind (``cpu_kinds.BASELINES``)."""

    triple: str
    gcc: str
    debian: str
    emulation: str
    compile_flags: tuple[str, ...] = ()


#: a triple's first word -> how the tools name it
ARCHITECTURES = {
    "aarch64": Architecture("aarch64-linux-gnu", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "aarch64linux"),
    "armv7a": Architecture(
        "armv7a-linux-gnueabihf", "arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf", "armelf_linux_eabi",
        ("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"),
    ),
    "i686": Architecture(
        "i686-linux-gnu", "i686-linux-gnu-gcc", "gcc-i686-linux-gnu", "elf_i386", ("-march=pentium4",)
    ),
    "x86_64": Architecture("x86_64-linux-gnu", "x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu", "elf_x86_64"),
}  # fmt: skip


@dataclass(frozen=True)
class Linker:
    """A linker as found: ``name`` and ``version`` are recorded with what it makes.

    ``link`` and ``compile`` are the beginnings of the two commands; ``is_gcc`` says that linker flags go through a
    compiler driver, which also knows the other system's libraries.
    """

    name: str
    version: str
    link: tuple[str, ...]
    compile: tuple[str, ...]
    is_gcc: bool


def linker_tools(architecture: str) -> Sequence[Tool]:
    """ziglang and Debian's gcc for an architecture. Either will do: where one is here, the other is optional."""
    names = ARCHITECTURES[architecture]
    zig = python_package("ziglang", "linking kernels", "in Optima's clone: pip install '.[cross]'")
    gcc = program(names.gcc, "linking kernels", f"apt-get install {names.debian}", optional=zig.found)
    if not gcc.found:
        return zig, gcc
    return python_package("ziglang", zig.serves, zig.install, optional=True), gcc


def find_linker(architecture: str) -> Linker:
    """The linker for an architecture: ziglang's, else Debian's. Raises ToolMissing that names both."""
    names = ARCHITECTURES[architecture]
    zig, gcc = linker_tools(architecture)
    if zig.found:
        run = (sys.executable, "-m", "ziglang")
        link = (*run, "ld.lld", "-m", names.emulation)
        return Linker(zig.name, zig.version, link, (*run, "clang", "-target", names.triple), is_gcc=False)
    if gcc.found:
        return Linker(gcc.name, gcc.version, (gcc.path,), (gcc.path,), is_gcc=True)
    raise ToolMissing(
        f"there is no linker for {names.triple} here", hint=f"{zig.install}, or {gcc.install}: either will do"
    )


def linker_version(architecture: str) -> Mapping[str, str]:
    """The linker's name and version, for cache keys and ``produced_by``; nothing where there is none."""
    try:
        found = find_linker(architecture)
    except ToolMissing:
        return {}
    return {found.name: found.version}


#: called by name before the first compile job of an architecture
find_aarch64_linker = partial(find_linker, "aarch64")
find_armv7a_linker = partial(find_linker, "armv7a")
find_i686_linker = partial(find_linker, "i686")
find_x86_64_linker = partial(find_linker, "x86_64")
