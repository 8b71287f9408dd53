"""softmax, log_softmax and logsumexp: the row's maximum, exponentials of differences from it, their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.reduction import SOFTMAX
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_reduce import (
    FLOATS,
    INTEGERS,
    Expr,
    Source,
    accumulator,
    const,
    convert,
    finish,
    fold,
    load,
    reduced_axes,
    refuse_dtypes,
    row_rule,
)
from optima.ops.tflite.reduction import SOFTMAX as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def row_exponentials(
    source: Source, shape: tuple[int, ...], axes: tuple[int, ...], dtype: str, *, safe: bool = False
) -> tuple[te.Tensor, te.Tensor, te.Tensor]:
    """(maximum, exponentials, their sum) of ``source`` over ``axes``, the folded axes kept as 1.

    The maximum of finite numbers only: in a row of -inf it is the lowest of them, so that the exponentials
    and their sum are 0. A NaN or +inf shows in the exponentials as NaN; with ``safe`` a maximum of +inf
    counts as 0.
    """
    from tvm import te, tirx

    from optima.ops.vector_math import falling_exp

    rule = row_rule(shape, axes)
    highest = fold("peak", source, shape, axes, dtype, keepdim=True, name="highest", rule=rule)

    def row(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(0 if d in axes else i for d, i in enumerate(index))

    def shifted(*index: Expr) -> Expr:
        peak = highest(*row(index))
        if safe:
            infinite = tirx.abs(peak) >= const(float("inf"), dtype)
            peak = tirx.Select(infinite, const(0, dtype), peak)
        return falling_exp(source(*index) - peak)

    attrs = {"schedule_rule": rule} if rule else None
    powers = te.compute(shape, shifted, name="exponentials", attrs=attrs)
    total = fold("sum", lambda *i: powers(*i), shape, axes, dtype, keepdim=True, name="total", rule=rule)
    return highest, powers, total


def _source(view: OpView, tensors: Tensors, dtype: str) -> Source:
    (x,) = tensors.values()
    source = view.first.dtype
    if source == dtype:
        return lambda *i: load(x, *i)
    return lambda *i: convert(load(x, *i), source, dtype).astype(accumulator(dtype))


def _softmax(logarithm: bool, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    from optima.ops.vector_math import log

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    axes = reduced_axes(view.attrs["dim"], len(shape))
    source = _source(view, tensors, out.dtype)
    if not shape:
        return [finish(_of_scalar(source, 0.0 if logarithm else 1.0, acc), acc, out.dtype)]
    highest, powers, total = row_exponentials(source, shape, axes, acc)
    rule = row_rule(shape, axes)
    attrs = {"schedule_rule": rule} if rule else None

    def row(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(0 if d in axes else i for d, i in enumerate(index))

    if not logarithm:
        share = te.compute(shape, lambda *i: powers(*i) / total(*row(i)), name="softmax", attrs=attrs)
        return [finish(share, acc, out.dtype)]
    logs = te.compute(total.shape, lambda *i: log(total(*i)), name="log_total", attrs=attrs)
    value = te.compute(shape, lambda *i: source(*i) - highest(*row(i)) - logs(*row(i)), name="log_softmax", attrs=attrs)
    return [finish(value, acc, out.dtype)]


def _of_scalar(source: Source, value: float, dtype: str) -> te.Tensor:
    """``value``, or NaN where the only element is not finite."""
    from tvm import te, tirx

    def element() -> Expr:
        finite = tirx.abs(source()) < const(math.inf, dtype)
        return tirx.Select(finite, const(value, dtype), const(math.nan, dtype))

    return te.compute((), element, name="of_scalar")


def _logsumexp(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te, tirx

    from optima.ops.vector_math import log

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    axes = reduced_axes(view.attrs["dim"], len(shape))
    source = _source(view, tensors, out.dtype)
    if not shape:
        return [finish(te.compute((), lambda: source(), name="logsumexp"), acc, out.dtype)]
    highest, _, total = row_exponentials(source, shape, axes, acc, safe=True)
    keepdim = view.attrs.get("keepdim", False)

    def element(*index: Expr) -> Expr:
        kept = iter(index)
        where = index if keepdim else tuple(0 if d in axes else next(kept) for d in range(len(shape)))
        peak = highest(*where)
        infinite = tirx.abs(peak) >= const(float("inf"), acc)
        return log(total(*where)) + tirx.Select(infinite, const(0, acc), peak)

    value = te.compute(out.shape, element, name="logsumexp")
    return [finish(value, acc, out.dtype)]


def _cost(view: OpView) -> Cost:
    """Five operations per element: compare, subtract, exponential, add, divide; operands moved once each."""
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(5.0 * view.first.numel, float(moved))


def _float_result(view: OpView) -> str | None:
    if view.outputs[0].dtype not in FLOATS:
        return f"{view.op} has no kernel that gives {view.outputs[0].dtype}; pass a floating dtype"
    return refuse_dtypes(*FLOATS, *INTEGERS, "bool")(view)


def _entry(
    name: str,
    overload: str,
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
) -> OpEntry:
    traits = frozenset({Trait.REDUCTION})
    return OpEntry(name, ("self",), aten(overload), attrs, traits, Te(compute, _float_result), cost=_cost)


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("softmax", "softmax.int", partial(_softmax, False), {"dim": REQUIRED, "dtype": None}),
        _entry("log_softmax", "log_softmax.int", partial(_softmax, True), {"dim": REQUIRED, "dtype": None}),
        _entry("logsumexp", "logsumexp", _logsumexp, {"dim": REQUIRED, "keepdim": False}),
    ),
    SOFTMAX,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
