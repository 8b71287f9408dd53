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
    return view_at(block, -block.ctypes.data % alignment, shape, dtype)


def view_at(block: Array, offset: int, shape: tuple[int, ...], dtype: str) -> Array:
    """The dense array of ``dtype`` at byte ``offset`` of a dense uint8 block, whose memory it shares.

    Not by slicing: numpy moves an empty slice to the start of the block, which may not be aligned. Raises
    TypeError when it does not fit into the block.
    """
    return np.ndarray(shape, numpy_dtype(dtype), block, offset)


def is_aligned(array: Array) -> bool:
    """Whether a kernel may use the array as it lies: dense, row-major, native byte order, 64-byte aligned."""
    return bool(array.flags.c_contiguous and array.dtype.isnative and array.ctypes.data % ALIGNMENT == 0)
