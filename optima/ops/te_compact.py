"""Handing out values in order to the elements that a mask selects: a running count, so one loop after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optima.ops import exact_math as em
from optima.ops.entry import OpView
from optima.ops.te_addresses import at, broadcast, everywhere, unravel
from optima.ops.te_loops import Buffer, Stmt, nest, read, sequential, steps, store
from optima.ops.te_reduce import Expr, accumulator, widen
from optima.ops.te_scatter import shaped

if TYPE_CHECKING:
    from tvm import te


def masked_write(
    view: OpView,
    tensors: Mapping[str, te.Tensor],
    mask: str,
    source: str,
    span: tuple[int, int],
    *,
    accumulate: bool,
) -> list[te.Tensor]:
    """``self`` with the n-th selected element (or slice) replaced by, or increased by, the n-th of ``source``.

    ``mask`` and ``source`` are roles; the mask stands for ``span`` = (first, number of) dimensions of the result,
    and ``self`` and the mask broadcast. If it covers all of them, ``source`` is read in row-major order; otherwise
    ``source`` broadcasts to (dimensions before, number selected, dimensions after). torch raises when there are too
    few values; here the last is repeated.
    """
    out = view.outputs[0]
    shape = out.shape or (1,)
    first, covered = span if out.shape else (0, 1)
    before, masked, after = shape[:first], shape[first : first + covered], shape[first + covered :]
    acc = accumulator(out.dtype) if accumulate else out.dtype
    given = view.operands[source].shape
    flat = covered == len(shape)
    available = math.prod(given) if flat else given[-1 - len(after)]

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        from tvm import tirx

        buffers = dict(zip(tensors, ins, strict=True))
        result, count = outs
        zero = tirx.const(0, "int32")

        def own(index: Sequence[Expr]) -> Stmt:
            value = broadcast(buffers["self"], index)
            return store(result, index, widen(value, out.dtype) if accumulate else value)

        def each_slice(selected: Sequence[Expr], place: Expr, *others: Expr) -> Stmt:
            lead, tail = others[:first], others[first:]
            index = [*lead, *selected, *tail]
            values = buffers[source]
            new = at(values, unravel(place, given)) if flat else broadcast(values, [*lead, place, *tail])
            if accumulate:
                new = em.add(read(result, *index), widen(new, out.dtype))
            return store(result, index, new)

        def point(*selected: Expr) -> Stmt:
            chosen = em.cast(broadcast(buffers[mask], selected[: len(out.shape)]), "bool")
            place = tirx.Var("place", "int32")
            write = steps(
                tirx.Bind(place, tirx.min(read(count, zero), tirx.const(available - 1, "int32"))),
                nest((*before, *after), lambda *others: each_slice(selected, place, *others)),
                store(count, [zero], read(count, zero) + tirx.const(1, "int32")),
            )
            return tirx.IfThenElse(chosen, write, None)

        return steps(everywhere(shape, own), store(count, [zero], zero), nest(masked, point))

    written, _ = sequential(view.op, list(tensors.values()), [(shape, acc), ((1,), "int32")], body)
    return [shaped(written, out.shape, acc, out.dtype)]
