"""Loops written out: for kernels whose steps depend on each other, which a TE compute cannot say.

``sequential`` wraps a statement as TE tensors; its block states what it reads and writes, so that schedules
of the stages around it stay right. Statements are built from ``each``, ``store`` and ``steps``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.te_reduce import Expr

if TYPE_CHECKING:
    from tvm import te

Stmt = Any
Buffer = Any

#: the script completer's flag (bit 1: reads, bit 2: writes) to derive a block's accesses from its body
_DETECT_ACCESS = {"tirx.script_parsing_detect_access": 3}


def each(extent: int, body: Callable[[Expr], Stmt], kind: str = "serial", name: str = "i") -> Stmt:
    """``body(i)`` for i in ``range(extent)``; ``kind``: serial, parallel, vectorized or unrolled."""
    from tvm import tirx

    variable = tirx.Var(name, "int32")
    return tirx.For(variable, 0, extent, getattr(tirx.ForKind, kind.upper()), body(variable))


def nest(extents: Sequence[int], body: Callable[..., Stmt]) -> Stmt:
    """Serial loops over ``extents``, outermost first, around ``body(*indices)``."""
    if not extents:
        return body()
    return each(extents[0], lambda i: nest(extents[1:], lambda *rest: body(i, *rest)))


def store(buffer: Buffer, index: Sequence[Expr], value: Expr) -> Stmt:
    """``buffer[index] = value``."""
    from tvm import tirx

    return tirx.BufferStore(buffer, value, list(index))


def read(buffer: Buffer, *index: Expr) -> Expr:
    """``buffer[index]``."""
    from tvm import tirx

    return tirx.BufferLoad(buffer, list(index))


def steps(*statements: Stmt) -> Stmt:
    """One statement after the other."""
    from tvm import tirx

    return statements[0] if len(statements) == 1 else tirx.SeqStmt(list(statements))


def sequential(
    name: str,
    inputs: Sequence[te.Tensor],
    outputs: Sequence[tuple[tuple[int, ...], str]],
    body: Callable[[Sequence[Buffer], Sequence[Buffer]], Stmt],
) -> list[te.Tensor]:
    """Tensors of the given (shape, dtype) that ``body(input buffers, output buffers)`` fills in order.

    An output that nothing consumes is scratch: it becomes a buffer inside the kernel.
    """
    from tvm import te, tirx

    attrs = {key: tirx.const(value, "int64") for key, value in _DETECT_ACCESS.items()}
    made = te.extern(
        [shape for shape, _ in outputs],
        list(inputs),
        body,
        name=name,
        dtype=[dtype for _, dtype in outputs],
        attrs=attrs,
    )
    return list(made) if len(outputs) > 1 else [made]
