"""A kernel opened from bytes."""

from __future__ import annotations

from typing import Any

from optima.native.errors import KernelRefused
from optima.native.library import last_error, library

#: the calling convention that this library hosts (docs/kernel_abi.md)
KERNEL_ABI = 1
#: a kernel ``k`` exports the C symbol ``__tvm_ffi_k`` (kernel ABI version 1)
KERNEL_SYMBOL_PREFIX = "__tvm_ffi_"


class Kernel:
    """One C function out of a shared object that was opened from memory. Closed when nothing refers to it."""

    def __init__(self, handle: int, symbol: str) -> None:
        """Used by ``open``; ``handle`` is the C library's."""
        self.handle = handle
        self.symbol = symbol
        self._close: Any = library().optima_kernel_close

    @classmethod
    def open(cls, data: bytes, symbol: str) -> Kernel:
        """Load ``data``, the bytes of a ``.so``, and find ``symbol`` in it.

        The bytes run code as they load: give only bytes that were checked. Raises KernelRefused for what is
        not a whole shared object for this CPU, has an import that nothing provides, or no such symbol.
        """
        handle = library().optima_kernel_open(data, len(data), symbol.encode())
        if not handle:
            raise KernelRefused(
                f"kernel {symbol} cannot be opened: {last_error()}",
                hint="compile the model again, for this kind of machine",
            )
        return cls(handle, symbol)

    def __del__(self) -> None:
        handle, self.handle = getattr(self, "handle", 0), 0
        if handle:
            self._close(handle)
