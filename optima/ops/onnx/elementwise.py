"""ONNX routes of the unary functions, bounds and casts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import ANY, FLOATING, NUMBERS, only
from optima.ops.onnx.site import OpSite
from optima.ops.promotion import is_float

_OF_ANYTHING = (*NUMBERS, "bool")


def _named(op_type: str) -> Onnx:
    """The ONNX function of the value in the output's dtype, which is floating."""
    return Onnx(lambda s: s.node(op_type, s.value("self", s.out.dtype)), only(*FLOATING), _OF_ANYTHING)


def _signed(op_type: str) -> Onnx:
    """A function that keeps integers."""
    return Onnx(lambda s: s.node(op_type, s.first), dtypes=NUMBERS)


def _whole(emit: Callable[[OpSite], str]) -> Onnx:
    """A rounding: integers stay as they are."""
    return Onnx(lambda s: emit(s) if is_float(s.out.dtype) else s.node("Identity", s.first), dtypes=NUMBERS)


def trunc(s: OpSite, value: str) -> str:
    """Towards zero."""
    return s.node("Mul", s.node("Sign", value), s.chain(value, "Abs", "Floor"))


def _of_float(function: Callable[[OpSite, str], str]) -> Onnx:
    return Onnx(lambda s: function(s, s.value("self", s.out.dtype)), only(*FLOATING), _OF_ANYTHING)


def _scaled_log(base: float) -> Callable[[OpSite, str], str]:
    return lambda s, x: s.scaled(s.node("Log", x), 1 / math.log(base))


def _clamped(s: OpSite, low: str, high: str) -> str:
    """Bounds are operands or numbers; a number bounds floats by Clip, which every device knows."""
    value, dtype = s.value("self", s.out.dtype), s.out.dtype
    given = [b for b in (low, high) if b and (s.has(b) or s.attr(b) is not None)]
    if is_float(dtype) and not any(s.has(b) for b in given):
        ends = [s.number(s.attr(b)) if b in given else "" for b in (low, high)]
        return s.node("Clip", value, *ends)
    if low in given:
        value = s.extreme("Max", value, s.value(low, dtype))
    return s.extreme("Min", value, s.value(high, dtype)) if high in given else value


def _clamp_reason(view: OpView) -> str | None:
    for bound in ("min", "max"):
        value = view.attrs.get(bound)
        if value is not None and value != value:
            return f"{bound} is NaN"
    return None


def _round_reason(view: OpView) -> str | None:
    decimals = view.attrs.get("decimals", 0)
    return f"decimals={decimals} has no ONNX form here" if decimals else None


def _cast_reason(view: OpView) -> str | None:
    """ONNX leaves open what becomes of a float that the target does not hold."""
    if is_float(view.first.dtype) and view.outputs[0].dtype == "uint8":
        return "a cast of floats to uint8: what a negative number becomes is left open"
    return None


def _to(s: OpSite) -> str:
    return s.writer.cast(s.first, s.out.dtype)


_FUNCTIONS = {
    "sqrt": "Sqrt", "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log", "erf": "Erf", "tanh": "Tanh",
    "sigmoid": "Sigmoid", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh",
}  # fmt: skip

ROUTES: dict[str, Onnx] = {
    **{name: _named(op_type) for name, op_type in _FUNCTIONS.items()},
    **{name: _signed(op_type) for name, op_type in (("abs", "Abs"), ("neg", "Neg"), ("sign", "Sign"))},
    "square": Onnx(lambda s: s.node("Mul", s.first, s.first), dtypes=NUMBERS),
    "rsqrt": _of_float(lambda s, x: s.chain(x, "Sqrt", "Reciprocal")),
    "exp2": _of_float(lambda s, x: s.node("Exp", s.scaled(x, math.log(2)))),
    "expm1": _of_float(lambda s, x: s.shifted(s.node("Exp", x), -1)),
    "log1p": _of_float(lambda s, x: s.node("Log", s.shifted(x, 1))),
    "log2": _of_float(_scaled_log(2)),
    "log10": _of_float(_scaled_log(10)),
    "deg2rad": _of_float(lambda s, x: s.scaled(x, math.pi / 180)),
    "rad2deg": _of_float(lambda s, x: s.scaled(x, 180 / math.pi)),
    "floor": _whole(lambda s: s.node("Floor", s.first)),
    "ceil": _whole(lambda s: s.node("Ceil", s.first)),
    "trunc": _whole(lambda s: trunc(s, s.first)),
    "frac": Onnx(lambda s: s.node("Sub", s.first, trunc(s, s.first))),
    "round": Onnx(lambda s: s.node("Round" if is_float(s.out.dtype) else "Identity", s.first), _round_reason, NUMBERS),
    "clamp": Onnx(partial(_clamped, low="min", high="max"), _clamp_reason, NUMBERS),
    "clamp_min": Onnx(partial(_clamped, low="min", high=""), _clamp_reason, NUMBERS),
    "clamp_max": Onnx(partial(_clamped, low="", high="max"), _clamp_reason, NUMBERS),
    "to": Onnx(_to, _cast_reason, ANY),
}
