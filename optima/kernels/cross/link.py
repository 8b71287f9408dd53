"""A kernel's object for another CPU -> a shared library that asks for nothing but what a host of kernels has."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from optima.kernels.cross.elf import imports_of
from optima.kernels.cross.imports import BUILTINS, HOST, LIBRARIES
from optima.kernels.cross.linker import ARCHITECTURES, Linker, find_linker
from optima.kernels.errors import LinkError
from optima.tools import run_tool

_TIMEOUT_S = 120

#: Kernels and hooks alone are visible: no helper can be replaced by another library's of that name.
_EXPORTS = "{ global: __tvm_ffi_*; __TVMBackend*; local: *; };\n"

#: ``-Bsymbolic``: each kernel uses its own hooks. ARM's unwind tables name a routine for exceptions; there are none.
_FLAGS = (
    "-Bsymbolic", "--build-id=none", "--as-needed", "--gc-sections", "-s", "--version-script=exports.map",
    "--defsym=__aeabi_unwind_cpp_pr0=0",
)  # fmt: skip
_COMPILE_FLAGS = ("-O2", "-std=c11", "-ffreestanding", "-fPIC", "-ffunction-sections", "-w", "-c")


def cross_link(code: bytes, architecture: str) -> bytes:
    """A shared library of one object. Raises ToolMissing, ToolFailed, and LinkError for names that nobody has."""
    linker = find_linker(architecture)
    wanted = set(imports_of(code))
    with tempfile.TemporaryDirectory(prefix="optima-") as name:
        folder = Path(name)
        (folder / "kernel.o").write_bytes(code)
        (folder / "exports.map").write_text(_EXPORTS)
        parts = ["kernel.o"]
        if wanted & BUILTINS:
            parts.append(_compile_builtins(linker, architecture, folder))
        parts += ["-lm", "-lc"] if linker.is_gcc else _stubs(linker, wanted, folder)
        _run(linker, _FLAGS, parts, folder, "kernel.so")
        made = (folder / "kernel.so").read_bytes()
    _check_imports(made, architecture)
    return made


def _compile_builtins(linker: Linker, architecture: str, folder: Path) -> str:
    # Relative names in a fresh folder: no path can reach the output.
    shutil.copyfile(Path(__file__).with_name("builtins.c"), folder / "builtins.c")
    flags = (*_COMPILE_FLAGS, *ARCHITECTURES[architecture].compile_flags)
    command = (*linker.compile, *flags, "-o", "builtins.o", "builtins.c")
    run_tool(command, timeout_s=_TIMEOUT_S, folder=folder, wrote=folder / "builtins.o")
    return "builtins.o"


def _stubs(linker: Linker, wanted: set[str], folder: Path) -> list[str]:
    """Empty stand-ins for the libraries that the kernel needs: the file then names them, as a native one does."""
    made = []
    for library, names in LIBRARIES.items():
        used = sorted(wanted & names)
        if used:
            (folder / "names.ld").write_text("".join(f"{name} = 0;\n" for name in used))
            _run(linker, [f"-soname={library}", "--build-id=none"], ["names.ld"], folder, library)
            made.append(library)
    return made


def _run(linker: Linker, flags: Sequence[str], parts: Sequence[str], folder: Path, wrote: str) -> None:
    given = ["-nostdlib", *(f"-Wl,{flag}" for flag in flags)] if linker.is_gcc else flags
    command = (*linker.link, "-shared", *given, "-o", wrote, *parts)
    run_tool(command, timeout_s=_TIMEOUT_S, folder=folder, wrote=folder / wrote)


def _check_imports(made: bytes, architecture: str) -> None:
    known = HOST.union(*LIBRARIES.values())
    strange = [name for name in imports_of(made) if name not in known]
    if strange:
        raise LinkError(
            f"the kernel calls {', '.join(strange)}, which no host for {ARCHITECTURES[architecture].triple} has",
            hint="map its ops to another device, and report this with the model",
        )
