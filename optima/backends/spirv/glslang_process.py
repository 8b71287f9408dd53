"""``python glslang_process.py LIBRARY compile IN OUT`` or ``LIBRARY validate MODULE``: the glslang of slangpy's wheel.

A program of its own, so that what hangs or crashes in the library is not a compile worker. It imports the standard
library only. The library is used through its C interface, version 1.2.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_STAGE_COMPUTE = 6
_GLSL_TO_SPIRV = 0
_OPTIMIZATION = 0
_SPIRV_VERSION = (1, 3, 0)
_Output = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class _Request(ctypes.Structure):
    """``size_in_bytes`` tells the library which version of the request this is."""

    _fields_ = (
        ("size_in_bytes", ctypes.c_size_t),
        ("source_path", ctypes.c_char_p),
        ("input_begin", ctypes.c_void_p),
        ("input_end", ctypes.c_void_p),
        ("on_diagnostic", _Output),
        ("diagnostic_data", ctypes.c_void_p),
        ("on_output", _Output),
        ("output_data", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("action", ctypes.c_uint),
        ("optimization_level", ctypes.c_uint),
        ("debug_info_type", ctypes.c_uint),
        ("spirv_target_name", ctypes.c_char_p),
        ("spirv_version", ctypes.c_int * 3),
        ("entry_point_name", ctypes.c_char_p),
    )


def compiled(library: ctypes.CDLL, text: bytes) -> bytes:
    """The SPIR-V module of one kernel in GLSL; exits with what the library says."""
    said: list[bytes] = []
    made: list[bytes] = []
    on_diagnostic = _Output(lambda data, size, _: said.append(ctypes.string_at(data, size)))
    on_output = _Output(lambda data, size, _: made.append(ctypes.string_at(data, size)))
    source = ctypes.create_string_buffer(text)
    begin = ctypes.addressof(source)
    request = _Request(
        size_in_bytes=ctypes.sizeof(_Request), source_path=b"kernel.comp", input_begin=begin,
        input_end=begin + len(text), on_diagnostic=on_diagnostic, on_output=on_output,
        stage=_STAGE_COMPUTE, action=_GLSL_TO_SPIRV, optimization_level=_OPTIMIZATION,
        spirv_version=_SPIRV_VERSION, entry_point_name=b"main",
    )  # fmt: skip
    if library.glslang_compile_1_2(ctypes.byref(request)) or not made:
        sys.exit(b"".join(said).decode(errors="replace") or "glslang gave nothing")
    return b"".join(made)


def is_valid(library: ctypes.CDLL, module: bytes) -> bool:
    """Whether the library's spirv-val takes a module for Vulkan; it prints why not."""
    words = (ctypes.c_uint32 * (len(module) // 4)).from_buffer_copy(module)
    library.glslang_validateSPIRV.restype = ctypes.c_bool
    return bool(library.glslang_validateSPIRV(words, len(words)))


def main(arguments: list[str]) -> None:
    """One compilation, or one validation."""
    path, action, source = arguments[:3]
    library, given = ctypes.CDLL(path), Path(source).read_bytes()
    if action == "compile":
        Path(arguments[3]).write_bytes(compiled(library, given))
    elif not is_valid(library, given):
        sys.exit(f"{source} is not valid")


if __name__ == "__main__":
    main(sys.argv[1:])
