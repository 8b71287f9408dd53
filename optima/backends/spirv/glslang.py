"""The glslang library in the ``slangpy`` wheel, through its C interface: GLSL to SPIR-V, and SPIR-V's validator.

Not through Slang, which the wheel is made for: its simplifier turns ``x * 0.0`` into 0 whatever x is, even in its
precise mode. Only the one library is opened, in the process of a compile job; ``slangpy`` itself is never imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

from optima.tools import ToolFailed, ToolMissing

INSTALL = "pip install 'optima[spirv]'"

_STAGE_COMPUTE = 6
_GLSL_TO_SPIRV = 0
#: no optimiser: it would fold what NoContraction, which is added behind it, is to keep
_OPTIMIZATION = 0
_SPIRV_VERSION = (1, 3, 0)
_Output = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class _Request(ctypes.Structure):
    """Version 1.2 of the library's request; ``size_in_bytes`` tells it so."""

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


def library_path() -> Path | None:
    """The library, None where the wheel is not installed."""
    spec = importlib.util.find_spec("slangpy")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(p for place in places for p in Path(place).glob("libslang-glslang*.so*"))
    return found[0] if found else None


def compile_text(text: str) -> bytes:
    """The SPIR-V module of one kernel in GLSL. Raises ToolFailed with what the compiler says, ToolMissing."""
    said: list[bytes] = []
    made: list[bytes] = []
    on_diagnostic = _Output(lambda data, size, _: said.append(ctypes.string_at(data, size)))
    on_output = _Output(lambda data, size, _: made.append(ctypes.string_at(data, size)))
    source = ctypes.create_string_buffer(text.encode())
    begin = ctypes.addressof(source)
    request = _Request(
        size_in_bytes=ctypes.sizeof(_Request), source_path=b"kernel.comp", input_begin=begin,
        input_end=begin + len(text.encode()), on_diagnostic=on_diagnostic, on_output=on_output,
        stage=_STAGE_COMPUTE, action=_GLSL_TO_SPIRV, optimization_level=_OPTIMIZATION,
        spirv_version=_SPIRV_VERSION, entry_point_name=b"main",
    )  # fmt: skip
    status = _library().glslang_compile_1_2(ctypes.byref(request))
    if status or not made:
        words = b"".join(said).decode(errors="replace")[:2000]
        raise ToolFailed(f"glslang refuses a kernel:\n{words}", hint=f"report it, with its text:\n{text[:4000]}")
    return b"".join(made)


def is_valid(module: bytes) -> bool:
    """Whether the library's spirv-val takes a module. Raises ToolMissing."""
    words = (ctypes.c_uint32 * (len(module) // 4)).from_buffer_copy(module)
    return bool(_library().glslang_validateSPIRV(words, len(words)))


@cache
def _library() -> ctypes.CDLL:
    path = library_path()
    if path is None:
        raise ToolMissing("slangpy is not installed here", hint=INSTALL)
    library = ctypes.CDLL(str(path))
    library.glslang_validateSPIRV.restype = ctypes.c_bool
    return library
