"""A program: kernel calls in order over fixed buffers, run by one call into C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devices import InternalError
from optima.graph import numpy_dtype
from optima.native.arrays import Array, is_aligned
from optima.native.errors import KernelFailed
from optima.native.kernel import Kernel
from optima.native.library import CallSpec, TensorSpec, last_error, library

#: dtype -> DLPack type code and bits (dlpack.h)
_DLPACK = {
    "float64": (2, 64), "float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16), "int64": (0, 64),
    "int32": (0, 32), "int16": (0, 16), "int8": (0, 8), "uint8": (1, 8), "bool": (6, 8), "complex64": (5, 64),
}  # fmt: skip
_OK = -1


@dataclass(frozen=True, eq=False)
class Operand:
    """A buffer as a kernel sees it: dense, 64-byte aligned; bfloat16 is stored as uint16."""

    array: Array
    dtype: str


@dataclass(frozen=True, eq=False)
class Call:
    """One kernel call; ``args`` are indices into the program's operands."""

    kernel: Kernel
    args: Sequence[int]


class Program:
    """Calls over operands, checked once when built. It keeps its kernels and arrays alive.

    One program must not run twice at the same time: both runs would write the same buffers.
    """

    def __init__(self, operands: Sequence[Operand], calls: Sequence[Call]) -> None:
        """Raises InternalError for an operand that is not dense and aligned, or an index out of range."""
        self._operands = tuple(operands)
        self._calls = tuple(calls)
        specs = (TensorSpec * max(1, len(operands)))(*(_tensor_spec(o) for o in operands))
        call_specs = (CallSpec * max(1, len(calls)))(*(_call_spec(c) for c in calls))
        self._free: Any = library().optima_program_free
        self._handle = library().optima_program_new(specs, len(operands), call_specs, len(calls))
        if not self._handle:
            raise InternalError(f"a program cannot be built: {last_error()}")

    def __len__(self) -> int:
        return len(self._calls)

    def run(self, first: int = 0, count: int | None = None, elapsed_ns: Array | None = None) -> None:
        """Run ``count`` calls (all that follow by default) from ``first``, without the GIL.

        ``elapsed_ns``, an int64 array of that length, gets each call's duration in nanoseconds. Raises
        KernelFailed with the kernel's own message and the index of the call.
        """
        count = len(self._calls) - first if count is None else count
        failed = library().optima_run(self._handle, first, count, _int64_pointer(elapsed_ns, count))
        if failed == _OK:
            return
        if failed < 0:
            raise InternalError(last_error())
        symbol = self._calls[failed].kernel.symbol
        raise KernelFailed(f"kernel {symbol} failed in call {failed}: {last_error()}", call=failed)

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._free(handle)


def _tensor_spec(operand: Operand) -> TensorSpec:
    array = operand.array
    if not is_aligned(array) or array.dtype != numpy_dtype(operand.dtype):
        raise InternalError(
            f"a kernel's operand must be dense, aligned and {operand.dtype}, not {array.dtype} at "
            f"{array.ctypes.data:#x} with strides {array.strides}"
        )
    code, bits = _DLPACK[operand.dtype]
    shape = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
    return TensorSpec(array.ctypes.data, shape, array.ndim, code, bits, 0)


def _call_spec(call: Call) -> CallSpec:
    args = (ctypes.c_int32 * max(1, len(call.args)))(*call.args)
    return CallSpec(call.kernel.handle, args, len(call.args), 0)


def _int64_pointer(array: Array | None, count: int) -> Any:
    if array is None:
        return None
    if array.dtype != np.int64 or not array.flags.c_contiguous or array.size < count:
        raise InternalError(f"elapsed_ns must hold {count} int64 values, dense")
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))
