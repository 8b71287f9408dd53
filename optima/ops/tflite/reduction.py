"""TFLite routes of reductions and softmax."""

from __future__ import annotations

import math

from optima.ops.entry import OpView, Tflite
from optima.ops.te_reduce import reduced_axes
from optima.ops.te_spread import correction_of
from optima.ops.tflite.layout import Laid, last, without
from optima.ops.tflite.site import TfliteSite


def _axes(view: OpView) -> tuple[int, ...]:
    return reduced_axes(view.attrs.get("dim"), len(view.first.shape))


def _reduced(s: TfliteSite, op: str, made: Laid) -> Laid:
    axes, keep = _axes(s.view), bool(s.attr("keepdim", False))
    if not axes:
        return made
    at = [made.order.index(a) for a in axes]
    order = made.order if keep else without(made.order, axes)
    return Laid(s.writer.reduce(op, made.value, at, keepdims=keep), order)


def _fold(op: str) -> Tflite:
    return Tflite(lambda s: _reduced(s, op, s.made()))


def _amax(s: TfliteSite) -> Laid:
    """``-min(-x)``: the quantiser does not know REDUCE_MAX."""
    lowest = _reduced(s, "REDUCE_MIN", s.each(lambda x: s.writer.scaled(x, -1.0)))
    return Laid(s.writer.scaled(lowest.value, -1.0), lowest.order)


def _variance(s: TfliteSite) -> Laid:
    """The mean of squared differences, times n / (n - correction)."""
    axes, made = _axes(s.view), s.made()
    count = math.prod(s.shape[a] for a in axes)
    at = [made.order.index(a) for a in axes]
    mean = s.writer.reduce("MEAN", made.value, at, keepdims=True)
    squares = s.writer.binary("SQUARED_DIFFERENCE", made.value, mean)
    found = _reduced(s, "MEAN", Laid(squares, made.order))
    value = s.writer.scaled(found.value, count / (count - correction_of(s.view)))
    return Laid(s.writer.unary("SQRT", value) if s.view.op == "std" else value, found.order)


def _spread_reason(view: OpView) -> str | None:
    axes = _axes(view)
    if not axes:
        return "the spread of one number"
    count = math.prod(view.first.shape[a] for a in axes)
    return "no degrees of freedom are left" if count <= correction_of(view) else None


def _softmax(s: TfliteSite) -> Laid:
    """Along the innermost axis: of an image with its channels last that is the channels."""
    dim, made = s.axis(), s.made()
    order = made.order if made.order[-1] == dim else last(s.rank, dim)
    return Laid(s.writer.unary("SOFTMAX", s.laid(order), beta=1.0), order)


REDUCTION: dict[str, Tflite] = {
    "mean": _fold("MEAN"),
    "sum": _fold("SUM"),
    "amin": _fold("REDUCE_MIN"),
    "amax": Tflite(_amax),
    "var": Tflite(_variance, _spread_reason),
    "std": Tflite(_variance, _spread_reason),
}

SOFTMAX: dict[str, Tflite] = {"softmax": Tflite(_softmax)}
