"""Writing at computed places: copy a tensor, then write (or add, multiply, ...) values into it, in order.

A ``Scatter`` is a loop nest in two halves. At each point of ``outer`` the places are looked up, once; a place that
does not exist is skipped, so that nothing is written outside the result. ``inner`` then walks over what lies
there. Two writes to one element happen in the order of the loops: of plain writes the last one stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from optima.ops import exact_math as em
from optima.ops.division import integer_divide
from optima.ops.te_addresses import LANES, PARALLEL_WRITES, Index, at, everywhere, lanes
from optima.ops.te_loops import Buffer, Stmt, each, nest, read, sequential, steps, store
from optima.ops.te_reduce import FLOATS, Expr, accumulator, const, convert, extremum_identity, larger, smaller, widen

if TYPE_CHECKING:
    from tvm import te

Buffers = Mapping[str, Buffer]


@dataclass(frozen=True)
class Scatter:
    """Where values go in a result of ``shape`` (at least one axis).

    ``places(buffers, outer index)`` gives (position, extent) pairs: int64 positions, valid in 0 .. extent - 1.
    ``target(positions, outer index, inner index)`` is the element written, ``value(buffers, outer, inner)`` what.
    ``free`` numbers the loops (outer, then inner) whose points never write the same element as each other.
    ``rows``: the last inner loop walks along the result's last axis.
    """

    shape: tuple[int, ...]
    outer: tuple[int, ...]
    inner: tuple[int, ...]
    places: Callable[[Buffers, Index], list[tuple[Expr, int]]]
    target: Callable[[Sequence[Expr], Index, Index], Sequence[Expr]]
    value: Callable[[Buffers, Index, Index], Expr]
    free: tuple[int, ...] = ()
    rows: bool = False


def scatter(
    name: str,
    plan: Scatter,
    tensors: Mapping[str, te.Tensor],
    kind: tuple[tuple[int, ...], str],
    reduce: str = "set",
    *,
    include_self: bool = True,
) -> list[te.Tensor]:
    """The tensor of ``kind`` (shape, dtype) that starts as ``tensors["self"]`` (zeros without one).

    ``reduce``: set, sum, prod, mean, amax, amin. ``plan.value`` gives the dtype itself for "set", otherwise the
    accumulator of it. ``include_self`` False leaves out what stood where something is written.
    """
    shape, dtype = kind
    acc = dtype if reduce == "set" else accumulator(dtype)
    counted = plan.shape if reduce == "mean" else (1,)

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        buffers = dict(zip(tensors, ins, strict=True))
        out, counts = outs
        mean = reduce == "mean"
        parts = [_start(plan.shape, out, buffers.get("self"), dtype, acc)]
        if mean:
            start = const(1 if include_self else 0, acc)
            parts.append(everywhere(plan.shape, lambda i: store(counts, i, start)))
        if not include_self:
            identity = const(_identity(reduce, acc), acc)
            parts.append(_pass(plan, buffers, lambda i, _: store(out, i, identity)))

        def write(index: Index, value: Expr) -> Stmt:
            new = value if reduce == "set" else _combined(reduce, acc, read(out, *index), value)
            written = store(out, index, _per_lane(new, index) if acc == "bfloat16" else new)
            return steps(written, store(counts, index, read(counts, *index) + const(1, acc))) if mean else written

        parts.append(_pass(plan, buffers, write))
        if mean:
            parts.append(everywhere(plan.shape, lambda i: store(out, i, _mean(read(out, *i), read(counts, *i), acc))))
        return steps(*parts)

    # The second tensor is scratch, there for "mean"; a function of one block and no scratch has no root block.
    written, _ = sequential(name, list(tensors.values()), [(plan.shape, acc), (counted, acc)], body)
    return [shaped(written, shape, acc, dtype)]


def shaped(x: te.Tensor, shape: tuple[int, ...], source: str, target: str) -> te.Tensor:
    """``x``, of dtype ``source``, rounded to ``target``; 0-d where ``shape`` is ``()``."""
    from tvm import te

    if source == target and shape:
        return x
    return te.compute(shape, lambda *i: convert(x(*(i or (0,))), source, target), name="out")


def _start(shape: tuple[int, ...], out: Buffer, source: Buffer | None, dtype: str, acc: str) -> Stmt:
    def first(index: Index) -> Stmt:
        if source is None:
            return store(out, index, em.literal(0, acc, [sum(index)]))
        value = at(source, index)
        return store(out, index, value if acc == dtype else widen(value, dtype))

    return everywhere(shape, first)


def _pass(plan: Scatter, buffers: Buffers, write: Callable[[Index, Expr], Stmt]) -> Stmt:
    """``write(target, value)`` at every point of the plan's loops, in order but for a free loop in parallel."""
    extents = (*plan.outer, *plan.inner)
    work = math.prod(extents)
    last = len(extents) - 1
    chosen = next((k for k in plan.free if extents[k] > 1), None) if work >= PARALLEL_WRITES else None
    strips = _strips(extents[-1]) if plan.rows and chosen == last else 1
    if chosen is None or (plan.rows and chosen == last and strips == 1):
        return nest(plan.outer, lambda *outer: _point(plan, buffers, write, list(outer), None, None))
    if strips > 1:
        width = extents[-1] // strips

        def strip(number: Expr) -> Stmt:
            part = (number * width, width)
            return nest(plan.outer, lambda *outer: _point(plan, buffers, write, list(outer), None, part))

        return each(strips, strip, "parallel", "strip")
    return each(extents[chosen], partial(_rest, plan, buffers, write, chosen), "parallel", "p")


def _rest(plan: Scatter, buffers: Buffers, write: Callable[[Index, Expr], Stmt], chosen: int, fixed: Expr) -> Stmt:
    """The loops but ``chosen``, which is at ``fixed``."""
    count = len(plan.outer)
    if chosen >= count:
        held = (chosen - count, fixed)
        return nest(plan.outer, lambda *outer: _point(plan, buffers, write, list(outer), held, None))

    def inserted(*others: Expr) -> Stmt:
        return _point(plan, buffers, write, [*others[:chosen], fixed, *others[chosen:]], None, None)

    return nest((*plan.outer[:chosen], *plan.outer[chosen + 1 :]), inserted)


def _point(
    plan: Scatter,
    buffers: Buffers,
    write: Callable[[Index, Expr], Stmt],
    outer: list[Expr],
    held: tuple[int, Expr] | None,
    strip: tuple[Expr, int] | None,
) -> Stmt:
    """The inner loops at one outer point, if its places exist.

    ``held`` is (number, value) of an inner loop that runs outside; ``strip`` (start, width) of the last one.
    """
    from tvm import tirx

    found = plan.places(buffers, outer)
    wide = [tirx.Var(f"place{k}", "int64") for k in range(len(found))]
    narrow = [tirx.Var(f"at{k}", "int32") for k in range(len(found))]

    def element(*inner: Expr) -> Stmt:
        return write(plan.target(narrow, outer, inner), plan.value(buffers, outer, inner))

    inner = _inner(plan, element, held, strip)
    if not found:
        return inner
    exists = [x for w, (_, extent) in zip(wide, found, strict=True) for x in (w >= 0, w < tirx.const(extent, "int64"))]
    casts = [tirx.Bind(n, w.astype("int32")) for n, w in zip(narrow, wide, strict=True)]
    binds = [tirx.Bind(w, position) for w, (position, _) in zip(wide, found, strict=True)]
    return steps(*binds, tirx.IfThenElse(tirx.all(*exists), steps(*casts, inner), None))


def _inner(
    plan: Scatter, element: Callable[..., Stmt], held: tuple[int, Expr] | None, strip: tuple[Expr, int] | None
) -> Stmt:
    if held is not None:
        number, value = held
        rest = (*plan.inner[:number], *plan.inner[number + 1 :])

        def inserted(*others: Expr) -> Stmt:
            return element(*others[:number], value, *others[number:])

        return _rows(rest, inserted, plan.rows and number != len(plan.inner) - 1)
    if strip is not None:
        start, width = strip
        return _rows((*plan.inner[:-1], width), lambda *i: element(*i[:-1], start + i[-1]), True)
    return _rows(plan.inner, element, plan.rows)


def _rows(extents: Sequence[int], element: Callable[..., Stmt], vectors: bool) -> Stmt:
    if not vectors:
        return nest(extents, element)
    return nest(extents[:-1], lambda *i: lanes(extents[-1], lambda last: element(*i, last)))


def _strips(extent: int) -> int:
    """Into how many equal strips of whole vectors a row is cut, so that strips can run in parallel."""
    return next((n for n in (8, 6, 4, 3, 2) if extent % (n * LANES) == 0), 1)


def _per_lane(value: Expr, index: Index) -> Expr:
    """A bfloat16 that depends on the index: TVM 0.27 does not lower a vector store of one for all lanes."""
    from tvm import tirx

    nothing = tirx.bitwise_and(index[-1].astype("int32"), tirx.const(0, "int32")).astype("uint16")
    return tirx.reinterpret("bfloat16", tirx.bitwise_or(tirx.reinterpret("uint16", value), nothing))


def _combined(reduce: str, dtype: str, old: Expr, new: Expr) -> Expr:
    if reduce in ("sum", "mean"):
        return em.add(old, new)
    if reduce == "prod":
        return em.multiply(old, new)
    if dtype == "bool":
        return em.logical_or(old, new) if reduce == "amax" else em.logical_and(old, new)
    return larger(new, old, dtype) if reduce == "amax" else smaller(new, old, dtype)


def _identity(reduce: str, dtype: str) -> float | int | bool:
    if reduce in ("amax", "amin"):
        return extremum_identity(dtype, lowest=reduce == "amax")
    return 1 if reduce == "prod" else 0


def _mean(total: Expr, count: Expr, dtype: str) -> Expr:
    """``total / count``; rounded down for integers, and ``total`` where nothing was counted, as torch does."""
    from tvm import tirx

    one = tirx.const(1, dtype)
    divisor = tirx.Select(count.equal(tirx.const(0, dtype)), one, count)
    return tirx.div(total, divisor) if dtype in FLOATS else integer_divide(total, divisor, "floor")
