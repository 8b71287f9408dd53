"""numpy arrays where kernels want them: dense, at a multiple of 64 bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optima.graph import numpy_dtype

#: one cache line and the widest vector (AVX-512); kernels load with aligned instructions
ALIGNMENT = 64
_PAGE = 4096
#: from here on a block starts at a page, so that it shares none with others
_BIG = 1 << 16

Array = np.ndarray[Any, Any]


def aligned_empty(shape: tuple[int, ...], dtype: str) -> Array:
    """An uninitialised row-major array of ``dtype`` ("bfloat16" is stored as uint16 bits), 64-byte aligned.

    Blocks of 64 KiB and more start at a page. Raises GraphError for an unknown dtype, MemoryError when there
    is not enough memory.
    """
    kind = numpy_dtype(dtype)
    nbytes = math.prod(shape) * kind.itemsize
    alignment = _PAGE if nbytes >= _BIG else ALIGNMENT
    # A block of no bytes still needs an address: kernels refuse a null pointer.
    block = np.empty(max(nbytes, 1) + alignment, np.uint8)
    start = -block.ctypes.data % alignment
    return block[start : start + nbytes].view(kind).reshape(shape)


def aligned_copy(array: Array, dtype: str) -> Array:
    """A dense, aligned copy of ``array``, which must already hold ``dtype`` in native byte order."""
    copy = aligned_empty(array.shape, dtype)
    np.copyto(copy, array, casting="equiv")
    return copy


def is_aligned(array: Array) -> bool:
    """Whether a kernel may use the array as it lies: dense, row-major, native byte order, 64-byte aligned."""
    return bool(
        array.flags.c_contiguous and array.dtype.isnative and array.ctypes.data % ALIGNMENT == 0
    )
