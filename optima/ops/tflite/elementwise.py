"""TFLite routes of unary functions and bounds."""

from __future__ import annotations

from optima.ops.entry import OpView, Tflite
from optima.ops.tflite.layout import Laid
from optima.ops.tflite.site import TfliteSite


def _named(op: str) -> Tflite:
    return Tflite(lambda s: s.each(lambda x: s.writer.unary(op, x)))


def _scaled(factor: float) -> Tflite:
    return Tflite(lambda s: s.each(lambda x: s.writer.scaled(x, factor)))


def _square(s: TfliteSite) -> Laid:
    return s.each(lambda x: s.writer.binary("MUL", x, x))


def _abs(s: TfliteSite) -> Laid:
    return s.each(lambda x: s.writer.binary("MAXIMUM", x, s.writer.scaled(x, -1.0)))


def clamped(s: TfliteSite, value: str, low: float | None, high: float | None) -> str:
    """``value`` between two numbers. The bounds that activations have are written as such: they fuse."""
    for bounds, op in (((0.0, 6.0), "RELU6"), ((-1.0, 1.0), "RELU_N1_TO_1"), ((0.0, None), "RELU")):
        if (low, high) == bounds:
            return s.writer.unary(op, value)
    if low is not None and high is not None and low > high:
        low = high  # torch lets the upper bound win
    if low is not None:
        value = s.writer.binary("MAXIMUM", value, s.writer.scalar(low))
    return value if high is None else s.writer.at_most(value, s.writer.scalar(high))


def _bound(s: TfliteSite, key: str) -> float | None:
    value = s.attr(key)
    return None if value is None else float(value)


def _clamp(s: TfliteSite) -> Laid:
    low = None if s.view.op == "clamp_max" else _bound(s, "min")
    high = None if s.view.op == "clamp_min" else _bound(s, "max")
    return s.each(lambda x: clamped(s, x, low, high))


def _clamp_reason(view: OpView) -> str | None:
    if {"min", "max"} & set(view.operands):
        return f"{view.op} by bounds that are tensors has no TFLite form here"
    for bound in ("min", "max"):
        value = view.attrs.get(bound)
        if value is not None and not abs(value) < 1e30:
            return f"{bound}={value} is no bound that int8 can hold"
    return None


ROUTES: dict[str, Tflite] = {
    "tanh": _named("TANH"),
    "sigmoid": _named("LOGISTIC"),
    "sqrt": _named("SQRT"),
    "rsqrt": _named("RSQRT"),
    "square": Tflite(_square),
    "neg": _scaled(-1.0),
    "abs": Tflite(_abs),
    **{name: Tflite(_clamp, _clamp_reason) for name in ("clamp", "clamp_min", "clamp_max")},
}
