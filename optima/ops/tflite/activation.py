"""TFLite routes of the activation functions, composed of what the Edge TPU has."""

from __future__ import annotations

import math

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.tflite.elementwise import clamped
from optima.ops.tflite.layout import Laid
from optima.ops.tflite.site import TfliteSite


def _relu(s: TfliteSite) -> Laid:
    return s.each(lambda x: s.writer.unary("RELU", x))


def _hardtanh(s: TfliteSite) -> Laid:
    low, high = float(s.attr("min_val", -1)), float(s.attr("max_val", 1))
    return s.each(lambda x: clamped(s, x, low, high))


def _sixth(s: TfliteSite, x: str) -> str:
    """``relu6(x + 3) / 6``."""
    return s.writer.scaled(s.writer.unary("RELU6", s.writer.shifted(x, 3.0)), 1 / 6)


def _hardsigmoid(s: TfliteSite) -> Laid:
    return s.each(lambda x: _sixth(s, x))


def _hardswish(s: TfliteSite) -> Laid:
    return s.each(lambda x: s.writer.binary("MUL", x, _sixth(s, x)))


def _silu(s: TfliteSite) -> Laid:
    return s.each(lambda x: s.writer.binary("MUL", x, s.writer.unary("LOGISTIC", x)))


def _gelu(s: TfliteSite) -> Laid:
    """By tanh it is composed; by the error function it is an operator of its own, which the host runs."""
    if s.attr("approximate", "none") == "none":
        return s.each(lambda x: s.writer.unary("GELU", x, approximate=False))
    w = s.writer

    def tanh_form(x: str) -> str:
        cube = w.scaled(w.binary("MUL", w.binary("MUL", x, x), x), 0.044715)
        inner = w.unary("TANH", w.scaled(w.binary("ADD", x, cube), math.sqrt(2 / math.pi)))
        return w.binary("MUL", w.scaled(x, 0.5), w.shifted(inner, 1.0))

    return s.each(tanh_form)


def _gelu_reason(view: OpView) -> str | None:
    mode = view.attrs.get("approximate", "none")
    return None if mode in ("none", "tanh") else f"approximate={mode!r}"


def _leaky(s: TfliteSite, x: str, slope: str, largest: float) -> str:
    """``max(x, slope * x)`` while no slope exceeds 1, else ``slope * x + (1 - slope) * relu(x)``."""
    w = s.writer
    low = w.binary("MUL", x, slope)
    if largest <= 1:
        return w.binary("MAXIMUM", x, low)
    rest = w.data(1.0 - w.constants[slope])
    return w.binary("ADD", low, w.binary("MUL", w.unary("RELU", x), rest))


def _leaky_relu(s: TfliteSite) -> Laid:
    slope = float(s.attr("negative_slope", 0.01))
    return s.each(lambda x: _leaky(s, x, s.writer.scalar(slope), slope))


def _prelu(s: TfliteSite) -> Laid:
    """torch's slope stands for axis 1."""
    weight, made = s.array("weight"), s.made("self")
    rank = len(made.order)
    extents = [weight.size if k == 1 and rank > 1 else 1 for k in range(rank)]
    slopes = np.transpose(weight.reshape(extents), made.order)
    value = _leaky(s, made.value, s.writer.data(slopes), float(weight.max()))
    return Laid(value, made.order)


def _prelu_reason(view: OpView) -> str | None:
    if view.operands["weight"].numel != 1 and len(view.operands["self"].shape) < 2:
        return "one weight per channel of an input without channels"
    return None if view.operands["self"].shape else "prelu of a 0-d tensor has no TFLite form"


def _glu(s: TfliteSite) -> Laid:
    made = s.made()
    at = made.order.index(s.axis("dim", -1))
    half = s.writer.shapes[made.value][at] // 2
    value, gate = (s.writer.part(made.value, at, start, half) for start in (0, half))
    return Laid(s.writer.binary("MUL", value, s.writer.unary("LOGISTIC", gate)), made.order)


ROUTES: dict[str, Tflite] = {
    "relu": Tflite(_relu),
    "hardtanh": Tflite(_hardtanh),
    "hardsigmoid": Tflite(_hardsigmoid),
    "hardswish": Tflite(_hardswish),
    "silu": Tflite(_silu),
    "gelu": Tflite(_gelu, _gelu_reason),
    "leaky_relu": Tflite(_leaky_relu),
    "prelu": Tflite(_prelu, _prelu_reason, constants=("weight",)),
    "glu": Tflite(_glu),
}
