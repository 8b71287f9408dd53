"""The refusals of the native library."""

from __future__ import annotations

from collections.abc import Iterable

from devices import InternalError, Problem, UserError


class NativeLibraryMissing(UserError):
    """The C library was not built, or cannot be loaded on this machine.

    Example: running from a source tree that was never installed. Fix: ``pip install -e .`` (needs gcc).
    """


class KernelRefused(UserError):
    """A kernel file that cannot be opened: cut off, for another CPU, or without its symbol.

    Example: ``Kernel.open(b"text", "__tvm_ffi_add")``. Fix: compile the model again for this machine.
    """


class KernelFailed(InternalError):
    """A kernel returned an error. ``call`` is the index of the call in its program, -1 outside one.

    Example: a kernel that was given a buffer of another shape than it was compiled for. Fix: none in user
    code, for the runtime checks what users give before any kernel sees it; please report it.
    """

    def __init__(
        self, message: str, *, call: int = -1, problems: Iterable[Problem] = (), hint: str = ""
    ) -> None:
        super().__init__(message, problems=problems, hint=hint)
        self.call = call
