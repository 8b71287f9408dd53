"""Optima's native library: one worker pool per process, kernels opened from bytes, and programs over buffers.

Needs numpy and the small C library beside this file; neither torch nor tvm. The kernel calling convention is
in docs/kernel_abi.md. Importing this package does not load the library: the first use of a class does.
"""

from optima.native.arrays import ALIGNMENT, aligned_empty, is_aligned, view_at
from optima.native.cores import available_cores
from optima.native.errors import KernelFailed, KernelRefused, NativeLibraryMissing
from optima.native.kernel import KERNEL_ABI, KERNEL_SYMBOL_PREFIX, Kernel
from optima.native.pool import Pool
from optima.native.program import Call, Operand, Program

__all__ = [
    "ALIGNMENT",
    "KERNEL_ABI",
    "KERNEL_SYMBOL_PREFIX",
    "Call",
    "Kernel",
    "KernelFailed",
    "KernelRefused",
    "NativeLibraryMissing",
    "Operand",
    "Pool",
    "Program",
    "aligned_empty",
    "available_cores",
    "is_aligned",
    "view_at",
]
