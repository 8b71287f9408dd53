"""Elements of buffers by computed index: broadcast, unravelled, looked up; and loops over independent elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optima.ops.te_loops import Buffer, Stmt, each, read, steps
from optima.ops.te_reduce import Expr

Index = Sequence[Expr]

#: iterations of an innermost loop that become one vector
LANES = 16
#: element writes below which a loop stays on the caller's thread
PARALLEL_WRITES = 2**15
#: vectors per piece of a loop over all elements
_PIECE_VECTORS = 256


def at(buffer: Buffer, index: Index) -> Expr:
    """``buffer[index]``; a 0-d tensor, which counts as one element, at any index."""
    return read(buffer, *index[: len(buffer.shape)])


def broadcast(buffer: Buffer, index: Index) -> Expr:
    """``buffer`` at an index of a shape that it broadcasts to."""
    from tvm import tirx

    rank = len(buffer.shape)
    zero = tirx.const(0, "int32")
    aligned = index[len(index) - rank :]
    return at(buffer, [zero if int(d) == 1 else i for i, d in zip(aligned, buffer.shape, strict=True)])


def unravel(linear: Expr, shape: Sequence[int]) -> list[Expr]:
    """The index into ``shape`` of the element that stands at ``linear`` in row-major order."""
    index: list[Expr] = []
    for k in range(len(shape) - 1, 0, -1):
        index.append(linear % shape[k])
        linear = linear // shape[k]
    return [linear, *index[::-1]] if shape else []


def looked_up(position: Expr, extent: int, *, wrap: bool) -> tuple[Expr, int]:
    """A pair for ``Scatter.places``; with ``wrap`` a negative position counts from the end."""
    from tvm import tirx

    wide = position.astype("int64")
    if wrap:
        wide = tirx.Select(wide < 0, wide + tirx.const(extent, "int64"), wide)
    return wide, extent


def everywhere(shape: tuple[int, ...], body: Callable[[Index], Stmt]) -> Stmt:
    """``body`` at every index of ``shape``, which are independent: in vectors, in parallel when there are many."""
    count = math.prod(shape)
    piece = _PIECE_VECTORS * LANES

    def element(linear: Expr) -> Stmt:
        return body(unravel(linear, shape))

    whole = count // piece if count >= PARALLEL_WRITES else 0
    parts = []
    if whole:
        parts.append(each(whole, lambda p: lanes(piece, lambda i: element(p * piece + i)), "parallel"))
    if count > whole * piece:
        parts.append(lanes(count - whole * piece, lambda i: element(whole * piece + i)))
    return steps(*parts)


def lanes(extent: int, body: Callable[[Expr], Stmt]) -> Stmt:
    """``body(i)`` for i in ``range(extent)``, whose points are independent: in vectors, and one by one at the end."""
    whole, rest = divmod(extent, LANES)
    parts = []
    if whole:
        parts.append(each(whole, lambda c: each(LANES, lambda v: body(c * LANES + v), "vectorized", "v"), name="c"))
    if rest:
        parts.append(each(rest, lambda i: body(whole * LANES + i)))
    return steps(*parts)
