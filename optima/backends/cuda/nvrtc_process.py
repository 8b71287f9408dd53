"""Run as a script in a process of its own: NVIDIA's run-time compiler by its C interface.

``archs <library>`` prints the architectures that it compiles for. ``compile <library> <architecture> <folder>`` writes
``0.ptx`` and ``0.cubin`` for ``<folder>/0.cu``, and so on for 1.cu, .... The interface is documented at
https://docs.nvidia.com/cuda/nvrtc; nothing of Optima is imported.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

#: arithmetic stays as it is printed: a product and a sum are fused only where the text says fma
OPTIONS = ("--fmad=false", "--std=c++17")


class NvrtcError(Exception):
    """The library's own words."""


def _check(library: ctypes.CDLL, status: int, what: str) -> None:
    if status:
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        raise NvrtcError(f"{what}: {library.nvrtcGetErrorString(status).decode()}")


def architectures(library: ctypes.CDLL) -> list[int]:
    """The numbers behind "sm_" and "compute_"."""
    count = ctypes.c_int()
    _check(library, library.nvrtcGetNumSupportedArchs(ctypes.byref(count)), "asking for architectures")
    numbers = (ctypes.c_int * count.value)()
    _check(library, library.nvrtcGetSupportedArchs(numbers), "asking for architectures")
    return list(numbers)


def compile_file(library: ctypes.CDLL, architecture: str, source: Path) -> None:
    """Write the file's PTX and cubin beside it."""
    program = ctypes.c_void_p()
    made = library.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), b"kernel.cu", 0, None, None)
    _check(library, made, "creating a program")
    options = [f"--gpu-architecture={architecture}".encode(), *(o.encode() for o in OPTIONS)]
    status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    if status:
        raise NvrtcError(_output(library, program, "ProgramLog").decode(errors="replace"))
    source.with_suffix(".ptx").write_bytes(_output(library, program, "PTX").rstrip(b"\0"))
    source.with_suffix(".cubin").write_bytes(_output(library, program, "CUBIN"))


def _output(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
    buffer = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, buffer), what)
    return buffer.raw


def main(argv: Sequence[str]) -> int:
    """The script."""
    library = ctypes.CDLL(argv[1])
    try:
        if argv[0] == "archs":
            sys.stdout.write(" ".join(map(str, architectures(library))))
            return 0
        for source in sorted(Path(argv[3]).glob("*.cu")):
            compile_file(library, argv[2], source)
    except NvrtcError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
