"""Control flow for loops written out: branches, loops that end by a condition, and scalars that change.

``te_loops`` has counted loops; sorting and searching also need these. A ``Frame`` owns the scalars of one
iteration of a loop, so that iterations of a parallel loop do not share them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optima.ops.te_loops import Buffer, Stmt, read, store
from optima.ops.te_reduce import Expr


def when(condition: Expr, then: Stmt, otherwise: Stmt | None = None) -> Stmt:
    """``then`` if ``condition`` holds, else ``otherwise``; only the chosen one runs."""
    from tvm import tirx

    return tirx.IfThenElse(condition, then, otherwise)


def repeat(condition: Expr, body: Stmt) -> Stmt:
    """``body`` as long as ``condition`` holds before it."""
    from tvm import tirx

    return tirx.While(condition, body)


def lazily(condition: Expr, value: Expr, otherwise: Expr) -> Expr:
    """``value`` if ``condition`` holds, else ``otherwise``; only the chosen one is evaluated (and loaded)."""
    from tvm import tirx

    return tirx.if_then_else(condition, value, otherwise)


def both(condition: Expr, then_also: Expr) -> Expr:
    """And; ``then_also`` is evaluated only where ``condition`` holds."""
    from tvm import tirx

    return lazily(condition, then_also, tirx.const(False, "bool"))


def number(value: int, dtype: str = "int32") -> Expr:
    """An integer literal."""
    from tvm import tirx

    return tirx.const(value, dtype)


class Cell:
    """A scalar that statements change."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer

    @property
    def value(self) -> Expr:
        """What it holds where the expression is evaluated."""
        return read(self.buffer, 0)

    def set(self, value: Expr | int) -> Stmt:
        """Store ``value``."""
        expression = number(value, str(self.buffer.dtype)) if isinstance(value, int) else value
        return store(self.buffer, (0,), expression)

    def add(self, value: Expr | int) -> Stmt:
        """Add ``value``."""
        return self.set(self.value + value)


class Frame:
    """The scalars and short arrays of one iteration; ``around`` makes the statement that owns them."""

    def __init__(self) -> None:
        self._cells: list[Buffer] = []
        self._arrays: list[Buffer] = []

    def cell(self, name: str, dtype: str = "int32") -> Cell:
        """A new scalar; it holds nothing before its first ``set``."""
        self._cells.append(_local(name, 1, dtype))
        return Cell(self._cells[-1])

    def array(self, name: str, extent: int, dtype: str = "int32") -> Buffer:
        """A new array of a few elements."""
        self._arrays.append(_local(name, extent, dtype))
        return self._arrays[-1]

    def around(self, body: Stmt, reads: Sequence[Buffer], writes: Sequence[Buffer]) -> Stmt:
        """``body`` with its scalars allocated around it. It must touch no other buffers than those named.

        Arrays stand in a block further out: TVM shrinks an array to the part that is used, and would state that
        part in terms of the scalars that index it.
        """
        inner = _block(body, (*reads, *self._arrays), (*writes, *self._arrays), self._cells)
        return _block(inner, reads, writes, self._arrays) if self._arrays else inner


def _local(name: str, extent: int, dtype: str) -> Buffer:
    from tvm import tirx

    return tirx.decl_buffer((extent,), dtype, name=name, scope="local")


def _block(body: Stmt, reads: Sequence[Buffer], writes: Sequence[Buffer], owned: Sequence[Buffer]) -> Stmt:
    from tvm import s_tir, tirx

    block = s_tir.SBlock(
        [], [_whole(b) for b in reads], [_whole(b) for b in writes], "row", body, alloc_buffers=list(owned)
    )
    return s_tir.SBlockRealize([], tirx.const(True, "bool"), block)


def framed(reads: Sequence[Buffer], writes: Sequence[Buffer], body: Callable[[Frame], Stmt]) -> Stmt:
    """``body(frame)`` inside the frame whose scalars it made."""
    frame = Frame()
    return frame.around(body(frame), reads, writes)


def _whole(buffer: Buffer) -> Buffer:
    from tvm import ir, tirx

    return tirx.BufferRegion(buffer, [ir.Range(0, extent) for extent in buffer.shape])
