"""Compile one kernel: group text -> TensorIR -> LLVM object -> a small shared library, the same bytes every time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optima.graph import Graph
from optima.kernels.cpu_kinds import is_native
from optima.kernels.cross.link import cross_link
from optima.kernels.errors import LinkError
from optima.kernels.lower import program_of, scheduled
from optima.kernels.program import read_program, renamed
from optima.kernels.target import CpuTarget

if TYPE_CHECKING:
    import tvm

#: seconds that a link of one object may take before it is taken for hung
_LINK_TIMEOUT_S = 120

#: no start files, build id, or symbol table: nothing of the building machine is left in the bytes
_LINK_FLAGS = ("-shared", "-nostartfiles", "-Wl,--build-id=none", "-Wl,--as-needed", "-s")


def compile_kernel(payload: Mapping[str, Any]) -> bytes:
    """The ``.so`` of one kernel, as a job: ``{"name": ..., "group": Graph.dump() text, "target": CpuTarget dict}``.

    Instead of a group it may have a ``program`` (see ``optima.kernels.program``), or an ``object`` to link. It
    exports ``__tvm_ffi_<name>``. Pure: the bytes depend on the payload and the toolchain only. Raises LinkError,
    and for another CPU than this machine's what ``cross_link`` raises.
    """
    _keep_torch_out()
    target = CpuTarget.from_dict(payload["target"])
    if "object" in payload:
        code = payload["object"]
    elif "program" in payload:
        code = program_code(read_program(payload["program"]), target, payload["name"])
    else:
        code = object_code(Graph.parse(payload["group"]), target, payload["name"])
    architecture = target.triple.split("-")[0]
    return link(code) if is_native(architecture) else cross_link(code, architecture)


def object_code(group: Graph, target: CpuTarget, name: str) -> bytes:
    """The relocatable object that LLVM makes of a group."""
    return program_code(program_of(group), target, name)


def program_code(program: tvm.IRModule, target: CpuTarget, name: str) -> bytes:
    """The relocatable object that LLVM makes of an unscheduled program, its function called ``name``."""
    import tvm

    built = tvm.compile(scheduled(renamed(program, name), target), target.tvm_target())
    with tempfile.TemporaryDirectory(prefix="optima-") as folder:
        file = Path(folder) / "kernel.o"
        built.mod.write_to_file(str(file))
        return file.read_bytes()


def link(code: bytes) -> bytes:
    """A shared library of one object for this machine. Raises LinkError with the command and what the linker said."""
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="optima-") as folder:
        (Path(folder) / "kernel.o").write_bytes(code)
        # Relative names in a fresh folder: no path can reach the output.
        command = [compiler, *_LINK_FLAGS, "-o", "kernel.so", "kernel.o", "-lm"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_LINK_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LinkError(f"the link did not run: {error}", hint=_repeat(command)) from error
        if done.returncode != 0:
            raise LinkError(
                f"the link failed with status {done.returncode}:\n{done.stderr.strip()}", hint=_repeat(command)
            )
        return (Path(folder) / "kernel.so").read_bytes()


def _repeat(command: list[str]) -> str:
    return f"the command was: {' '.join(command)}"


def find_compiler() -> str:
    """The path of the C compiler that links kernels: ``CC``, else cc, gcc or clang. Raises LinkError."""
    named = os.environ.get("CC", "")
    for candidate in (named,) if named else ("cc", "gcc", "clang"):
        found = shutil.which(candidate)
        if found:
            return found
    raise LinkError(
        f"no C compiler found ({named or 'cc, gcc, clang'})",
        hint="install one (apt install gcc), or name it in the environment variable CC",
    )


def _keep_torch_out() -> None:
    """Importing TVM imports torch wherever it is installed, a second that no compile needs."""
    if "torch" not in sys.modules and "tvm" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]
