"""ONNX routes of the activation functions."""

from __future__ import annotations

import math

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import NUMBERS
from optima.ops.onnx.site import OpSite, positive
from optima.ops.promotion import is_float

#: https://pytorch.org/docs/stable/generated/torch.nn.SELU.html
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
_GELU_SINCE, _HARDSWISH_SINCE, _MISH_SINCE = 20, 14, 18


def _clip(s: OpSite, value: str, low: float, high: float) -> str:
    return s.node("Clip", value, s.number(low), s.number(high))


def _sixth(s: OpSite) -> str:
    """``clip(x + 3, 0, 6) / 6``: devices of old operator sets lack HardSigmoid."""
    return s.scaled(_clip(s, s.shifted(s.first, 3.0), 0.0, 6.0), 1 / 6)


def _hardsigmoid(s: OpSite) -> str:
    if s.writer.opset < _HARDSWISH_SINCE:
        return _sixth(s)
    return s.node("HardSigmoid", s.first, alpha=1 / 6, beta=0.5)


def _hardswish(s: OpSite) -> str:
    if s.writer.opset < _HARDSWISH_SINCE:
        return s.node("Mul", s.first, _sixth(s))
    return s.node("HardSwish", s.first)


def _gelu(s: OpSite) -> str:
    mode, x = s.attr("approximate", "none"), s.first
    if s.writer.opset >= _GELU_SINCE:
        return s.node("Gelu", x, approximate=mode)
    if mode == "none":
        inner = s.node("Erf", s.scaled(x, math.sqrt(0.5)))
    else:
        cube = s.scaled(s.node("Mul", s.node("Mul", x, x), x), 0.044715)
        inner = s.node("Tanh", s.scaled(s.node("Add", x, cube), math.sqrt(2 / math.pi)))
    return s.node("Mul", s.scaled(x, 0.5), s.shifted(inner, 1.0))


def _gelu_reason(view: OpView) -> str | None:
    mode = view.attrs.get("approximate", "none")
    return None if mode in ("none", "tanh") else f"approximate={mode!r}"


def _elu(s: OpSite) -> str:
    alpha, scale, inner = (float(s.attr(k, 1)) for k in ("alpha", "scale", "input_scale"))
    if scale == inner == 1.0:
        return s.node("Elu", s.first, alpha=alpha)
    low = s.scaled(s.node("Elu", s.scaled(s.first, inner), alpha=alpha), scale)
    above = s.node("Greater", s.first, s.number(0.0))
    return s.where(above, s.scaled(s.first, scale), low)


def _celu(s: OpSite) -> str:
    """``Celu`` exists since version 12, for float32 alone; ``alpha * elu(x / alpha)`` is the same."""
    alpha = float(s.attr("alpha", 1.0))
    return s.scaled(s.node("Elu", s.scaled(s.first, 1 / alpha), alpha=1.0), alpha)


def _softplus(s: OpSite) -> str:
    beta, threshold = float(s.attr("beta", 1)), float(s.attr("threshold", 20))
    scaled = s.scaled(s.first, beta)
    soft = s.scaled(s.node("Softplus", scaled), 1 / beta)
    if threshold >= 15:  # what is left beyond it, exp(-15) = 3e-7, is below float32's own rounding
        return soft
    return s.where(s.node("Greater", scaled, s.number(threshold)), s.first, soft)


def _mish(s: OpSite) -> str:
    if s.writer.opset >= _MISH_SINCE and s.out.dtype == "float32":
        return s.node("Mish", s.first)
    return s.node("Mul", s.first, s.chain(s.first, "Softplus", "Tanh"))


def _threshold(s: OpSite) -> str:
    above = s.node("Greater", s.first, s.number(s.attr("threshold")))
    return s.where(above, s.first, s.number(s.attr("value")))


def _hardshrink(s: OpSite) -> str:
    return s.node("Shrink", s.first, lambd=float(s.attr("lambd", 0.5)), bias=0.0)


def _softshrink(s: OpSite) -> str:
    lambd = float(s.attr("lambd", 0.5))
    return s.node("Shrink", s.first, lambd=lambd, bias=lambd)


def _glu(s: OpSite) -> str:
    (axis,) = positive([s.attr("dim", -1)], len(s.shape))
    half = s.shape[axis] // 2
    value, gate = s.writer.split(s.first, axis, [half, half])
    return s.node("Mul", value, s.node("Sigmoid", gate))


def _prelu(s: OpSite) -> str:
    """torch's slope stands for axis 1; ONNX's broadcasts to the right."""
    slope, count = s.names["weight"], s.view.operands["weight"].numel
    rank = len(s.shape)
    if rank and s.view.operands["weight"].shape != (1,) * rank:
        extents = [1] * rank
        if rank > 1 and count > 1:
            extents[1] = count
        slope = s.writer.reshape(slope, extents)
    return s.node("PRelu", s.first, slope)


def _prelu_reason(view: OpView) -> str | None:
    if not view.operands["self"].shape:
        return "prelu of a 0-d tensor has no ONNX form"
    weight = view.operands["weight"]
    if weight.numel != 1 and len(view.operands["self"].shape) < 2:
        return "one weight per channel of an input without channels"
    return None


def _relu(s: OpSite) -> str:
    # Relu of integers exists since version 14 only.
    return s.node("Relu", s.first) if is_float(s.out.dtype) else s.extreme("Max", s.first, s.number(0))


def _hardtanh(s: OpSite) -> str:
    return _clip(s, s.first, s.attr("min_val", -1), s.attr("max_val", 1))


ROUTES: dict[str, Onnx] = {
    "relu": Onnx(_relu, dtypes=NUMBERS),
    "hardtanh": Onnx(_hardtanh),
    "hardsigmoid": Onnx(_hardsigmoid),
    "hardswish": Onnx(_hardswish),
    "leaky_relu": Onnx(lambda s: s.node("LeakyRelu", s.first, alpha=float(s.attr("negative_slope", 0.01)))),
    "silu": Onnx(lambda s: s.node("Mul", s.first, s.node("Sigmoid", s.first))),
    "gelu": Onnx(_gelu, _gelu_reason),
    "elu": Onnx(_elu),
    "celu": Onnx(_celu),
    "selu": Onnx(lambda s: s.node("Selu", s.first, alpha=_SELU_ALPHA, gamma=_SELU_SCALE)),
    "softplus": Onnx(_softplus),
    "mish": Onnx(_mish),
    "log_sigmoid": Onnx(lambda s: s.chain(s.first, "Neg", "Softplus", "Neg")),
    "threshold": Onnx(_threshold),
    "hardshrink": Onnx(_hardshrink),
    "softshrink": Onnx(_softshrink),
    "glu": Onnx(_glu),
    "prelu": Onnx(_prelu, _prelu_reason),
}
