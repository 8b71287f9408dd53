"""Which compiler of CUDA C++ this machine has, and running it, each time in a process of its own."""

from __future__ import annotations

import importlib.metadata
import re
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from devices import Problem
from optima.backends.cuda.nvrtc_process import OPTIONS
from optima.backends.cuda.tools import INSTALL, NVCC, NVRTC, NVRTC_12, nvcc, nvrtc, older_nvrtc
from optima.backends.device_options import DeviceOptionError
from optima.backends.tool_folder import tool_folder
from optima.tools import Tool, ToolMissing, run_tool, tool_failed

_SCRIPT = Path(__file__).with_name("nvrtc_process.py")
_LIBRARY = re.compile(r"libnvrtc\.so\.\d+")
#: seconds that a compiler may take to say what it compiles for
_ASK_S = 60
#: what a file of each kind begins with, or has in it
_ELF, _PTX = b"\x7fELF", b".version "
#: ELF's header in 64 bits: magic, machine, where segments and sections are described, and in how many bytes each
_ELF_HEADER, _EM_CUDA = struct.Struct("<4s14xH12xQQ6xHHHH2x"), 190


@dataclass(frozen=True)
class Compiler:
    """A compiler as found: ``path`` is the program, or the NVRTC library."""

    name: str
    version: str
    path: str


@cache
def find_compiler(name: str = "auto") -> Compiler:
    """The compiler of that name, or the first that is here. Raises ToolMissing with what to install."""
    tools = {NVRTC: nvrtc(), NVRTC_12: older_nvrtc(), NVCC: nvcc()}
    wanted = list(tools.values()) if name == "auto" else [tools[name]]
    for tool in wanted:
        path = _path_of(tool)
        if path:
            return Compiler(tool.name, tool.version, path)
    names = " nor ".join(tool.name for tool in wanted)
    raise ToolMissing(
        f"there is no compiler of CUDA here: {'neither ' if len(wanted) > 1 else 'no '}{names}",
        hint=INSTALL if name == "auto" else wanted[0].install,
    )


def _path_of(tool: Tool) -> str:
    """The program, or the library in the wheel; "" where it is absent."""
    if not tool.found or tool.name == NVCC:
        return tool.path
    files = importlib.metadata.files(tool.name) or []
    return next((str(file.locate()) for file in files if _LIBRARY.fullmatch(file.name)), "")


@cache
def architectures(compiler: Compiler) -> tuple[str, ...]:
    """What it compiles for, as "sm_75". Raises ToolFailed."""
    if compiler.name == NVCC:
        command, number = [compiler.path, "--list-gpu-arch"], r"\bcompute_(\d+)\b"
    else:
        command, number = _script("archs", compiler.path), r"\b(\d+)\b"
    said = run_tool(command, timeout_s=_ASK_S)
    found = tuple(f"sm_{n}" for n in dict.fromkeys(re.findall(number, said)))
    if not found:
        raise tool_failed(command, "does not say what it compiles for", said, called=compiler.name)
    return found


def check_architecture(compiler: Compiler, architecture: str) -> None:
    """Raise DeviceOptionError for one that the compiler does not know."""
    known = architectures(compiler)
    if architecture not in known:
        raise DeviceOptionError(
            f"{compiler.name} {compiler.version} does not compile for {architecture}",
            problems=[Problem("NVIDIA.architecture", f"is {architecture}; there are {', '.join(known)}")],
            hint=f'for older GPUs pip install {NVRTC_12}, and {{"compiler": "{NVRTC_12}"}}; or another architecture',
        )


def compiled(
    texts: Sequence[str], compiler: Compiler, architecture: str, suffixes: Sequence[str], timeout_s: float
) -> Mapping[str, bytes]:
    """``<number>.<suffix>`` for each text and each of ``suffixes`` ("ptx", "cubin").

    Raises ToolFailed with the compiler's words, also where it left no such file or one of another format.
    """
    with tool_folder("optima-cuda-") as folder:
        for number, text in enumerate(texts):
            (folder / f"{number}.cu").write_text(text)
        commands = [_script("compile", compiler.path, architecture, str(folder))]
        if compiler.name == NVCC:
            commands = [
                [compiler.path, f"-arch={architecture}", *OPTIONS, f"--{suffix}", "-o", f"{k}.{suffix}", f"{k}.cu"]
                for k in range(len(texts))
                for suffix in suffixes
            ]
        said = "".join(run_tool(command, timeout_s=timeout_s, folder=folder) for command in commands)
        files = [folder / f"{k}.{suffix}" for k in range(len(texts)) for suffix in suffixes]
        return {file.name: _checked(file, commands[0], compiler, said) for file in files}


def _checked(file: Path, command: Sequence[str], compiler: Compiler, said: str) -> bytes:
    data = file.read_bytes() if file.is_file() else b""
    form = file.suffix[1:]
    fits = _is_whole_cubin(data) if form == "cubin" else _PTX in data and data.rstrip().endswith(b"}")
    if not fits:
        how = f"wrote no {form}" if not data else f"wrote a {file.name} that is no {form}"
        raise tool_failed(command, how, said, called=compiler.name)
    return data


def _is_whole_cubin(data: bytes) -> bool:
    """Whether it is ELF for CUDA, and no shorter than where its header says that its two tables end."""
    if len(data) < _ELF_HEADER.size:
        return False
    magic, machine, segments, sections, segment, segment_count, section, section_count = _ELF_HEADER.unpack_from(data)
    end = max(segments + segment * segment_count, sections + section * section_count)
    return bool(magic == _ELF and machine == _EM_CUDA and end <= len(data))


def _script(*words: str) -> list[str]:
    return [sys.executable, "-P", str(_SCRIPT), *words]
