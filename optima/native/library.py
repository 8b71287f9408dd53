"""The C library by ctypes: found, loaded and typed once per process."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import ClassVar

from optima.native.cores import available_cores
from optima.native.errors import NativeLibraryMissing


class TensorSpec(ctypes.Structure):
    """``optima_tensor_spec`` of native.h."""

    _fields_: ClassVar = [
        ("data", c_void_p),
        ("shape", POINTER(c_int64)),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("reserved", c_uint16),
    ]


class CallSpec(ctypes.Structure):
    """``optima_call_spec`` of native.h."""

    _fields_: ClassVar = [
        ("kernel", c_void_p),
        ("args", POINTER(c_int32)),
        ("num_args", c_int32),
        ("reserved", c_int32),
    ]


#: ``int body(int task_id, env *, void *cdata)``: the body of a parallel loop
LAMBDA = ctypes.CFUNCTYPE(c_int, c_int, c_void_p, c_void_p)

_PROTOTYPES = {
    "optima_last_error": (c_char_p, []),
    "optima_set_threads": (c_int, [c_int]),
    "optima_threads": (c_int, []),
    "optima_workers": (c_int, []),
    "optima_set_spin_us": (c_int, [c_int]),
    "optima_parallel_launch": (c_int, [LAMBDA, c_void_p, c_int]),
    "optima_alloc_workspace": (c_void_p, [c_int, c_int, c_uint64, c_int, c_int]),
    "optima_free_workspace": (c_int, [c_int, c_int, c_void_p]),
    "optima_kernel_open": (c_void_p, [c_char_p, c_uint64, c_char_p]),
    "optima_kernel_close": (None, [c_void_p]),
    "optima_program_new": (c_void_p, [POINTER(TensorSpec), c_int32, POINTER(CallSpec), c_int32]),
    "optima_program_free": (None, [c_void_p]),
    "optima_run": (c_int, [c_void_p, c_int32, c_int32, POINTER(c_int64)]),
}


@cache
def library() -> ctypes.CDLL:
    """The loaded library, its pool sized to the cores that this process may use.

    Global, because kernels resolve ``TVMFFIErrorSetRaisedFromCStrParts`` by name. Raises
    NativeLibraryMissing.
    """
    folder = Path(__file__).parent
    built = [folder / f"_native{s}" for s in EXTENSION_SUFFIXES if (folder / f"_native{s}").is_file()]
    if not built:
        raise NativeLibraryMissing(
            "Optima's native library was not built", hint="run `pip install -e .` in Optima's source tree"
        )
    try:
        loaded = ctypes.CDLL(str(built[0]), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise NativeLibraryMissing(
            f"Optima's native library cannot be loaded: {error}", hint="reinstall Optima on this machine"
        ) from error
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    # Threads that spin on a single core only hold each other up.
    cores = available_cores()
    loaded.optima_set_threads(cores)
    loaded.optima_set_spin_us(0 if cores == 1 else 50)
    return loaded


def last_error() -> str:
    """The text of the last failure on this thread."""
    text: bytes = library().optima_last_error()
    return text.decode(errors="replace")
