"""Unary functions: rounding, exponentials and logarithms, trigonometry, casts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from optima.ops import exact_math as em
from optima.ops import vector_math as vm
from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.onnx.elementwise import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Tensors, pointwise, supported
from optima.ops.promotion import is_float, scalar_fits
from optima.ops.reference import aten
from optima.ops.tflite.elementwise import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

_LARGEST = {
    "float64": 1.7976931348623157e308, "float32": 3.4028234663852886e38, "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
}  # fmt: skip
_MOST_DECIMALS = 300  # ten to this power is a float64


def unary(
    name: str,
    function: Callable[[Scalar], Scalar],
    attrs: Mapping[str, Any] | None = None,
) -> OpEntry:
    """An entry whose element is ``function`` of the operand's, in the output's dtype."""
    route = pointwise(lambda view, x: function(x), "self")
    return OpEntry(name, ("self",), aten(name), attrs or {}, frozenset({Trait.ELEMENTWISE}), route)


def _intrinsic(name: str) -> Callable[[Scalar], Scalar]:
    """A function of the C library; scalar, right over the whole range."""

    def call(x: Scalar) -> Scalar:
        from tvm import tirx

        return tirx.call_pure_extern(dtype_of(x), name + ("f" if dtype_of(x) == "float32" else ""), x)

    return call


def _rounding(name: str) -> Callable[[Scalar], Scalar]:
    def call(x: Scalar) -> Scalar:
        from tvm import tirx

        return getattr(tirx, name)(x) if is_float(dtype_of(x)) else x

    return call


def _sqrt(x: Scalar) -> Scalar:
    from tvm import tirx

    return tirx.sqrt(x)


def _reciprocal(x: Scalar) -> Scalar:
    from tvm import tirx

    return tirx.const(1.0, dtype_of(x)) / x


def _square(x: Scalar) -> Scalar:
    return em.let(x, lambda v: em.multiply(v, v))


def _sign(x: Scalar) -> Scalar:
    from tvm import tirx

    if dtype_of(x) == "bool":
        return x
    zero, one = em.zero(x), tirx.const(1, dtype_of(x))
    if dtype_of(x) == "uint8":
        return em.select(em.less(zero, x), one, zero)
    below = em.select(em.less(x, zero), tirx.const(-1, dtype_of(x)), zero)
    return em.select(em.less(zero, x), one, below)


def _round(view: OpView, x: Scalar) -> Scalar:
    """To the nearest, ties to even; with decimals by way of a power of ten, half types in float32 as in torch."""
    from tvm import tirx

    decimals = view.attrs.get("decimals", 0)
    if not decimals:
        return _rounding("nearbyint")(x)
    ten = em.constant(float(10 ** abs(decimals)), dtype_of(x))
    whole = tirx.nearbyint(em.divide(x, ten) if decimals < 0 else em.multiply(x, ten))
    return em.multiply(whole, ten) if decimals < 0 else em.divide(whole, ten)


def _round_reason(view: OpView) -> str | None:
    decimals, dtype = view.attrs.get("decimals", 0), view.outputs[0].dtype
    if decimals and not is_float(dtype):
        return f"round of {dtype} with decimals"
    return f"decimals={decimals}" if abs(decimals) > _MOST_DECIMALS else None


def _angle(x: Scalar) -> Scalar:
    """The angle of a real number: 0, or pi below 0; NaN stays."""
    turned = em.select(em.less(x, em.zero(x)), em.constant(math.pi, dtype_of(x)), em.zero(x))
    return em.select(em.is_nan(x), x, turned)


def _scaled(factor: float) -> Callable[[Scalar], Scalar]:
    return lambda x: em.multiply(x, em.constant(factor, dtype_of(x)))


def _frac(x: Scalar) -> Scalar:
    from tvm import tirx

    return em.let(x, lambda v: em.subtract(v, tirx.trunc(v)))


def _nan_to_num(view: OpView, x: Scalar) -> Scalar:
    dtype = view.outputs[0].dtype
    if not is_float(dtype):
        return x
    largest = _LARGEST[dtype]

    def literal(key: str, default: float) -> Scalar:
        value = view.attrs.get(key)
        return em.constant(default if value is None else value, dtype)

    def replaced(v: Scalar) -> Scalar:
        top, bottom = em.constant(largest, dtype), em.constant(-largest, dtype)
        finite = em.select(em.less(top, v), literal("posinf", largest), v)
        finite = em.select(em.less(v, bottom), literal("neginf", -largest), finite)
        return em.select(em.is_nan(v), literal("nan", 0.0), finite)

    return em.let(x, replaced)


def _to(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    out = view.outputs[0]
    x = tensors["self"]
    return [te.compute(out.shape, lambda *i: em.cast(x(*i), out.dtype), name=view.op)]


def _clamp(view: OpView, x: Scalar, low: Scalar | None, high: Scalar | None) -> Scalar:
    logic = dtype_of(x) == "bool"
    if low is not None:
        x = em.maximum(x, low) if logic or "min" in view.operands else em.at_least(x, low)
    if high is not None:
        x = em.minimum(x, high) if logic or "max" in view.operands else em.at_most(x, high)
    return x


def _clamp_reason(view: OpView) -> str | None:
    for key in ("min", "max"):
        value = view.attrs.get(key)
        if value is not None and value != value:
            return f"{key} is NaN"
    return None


def _clamp_entry(name: str, *bounds: str) -> OpEntry:
    def function(view: OpView, x: Scalar, *values: Scalar | None) -> Scalar:
        given = dict(zip(bounds, values, strict=True))
        return _clamp(view, x, given.get("min"), given.get("max"))

    both = len(bounds) == 2
    operands = ("self", *(f"{b}?" if both else b for b in bounds))
    attrs = dict.fromkeys(bounds) if both else {}
    route = pointwise(function, "self", *bounds, refuse=_clamp_reason)
    return OpEntry(name, operands, aten(name), attrs, frozenset({Trait.ELEMENTWISE}), route)


def _nan_to_num_reason(view: OpView) -> str | None:
    values = [view.attrs.get(k) for k in ("nan", "posinf", "neginf")]
    return None if all(v is None or scalar_fits(v, "float64") for v in values) else "not a number"


def _special(name: str, route: Te, attrs: Mapping[str, Any]) -> OpEntry:
    return OpEntry(name, ("self",), aten(name), attrs, frozenset({Trait.ELEMENTWISE}), route)


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        unary("abs", em.absolute),
        unary("neg", em.negative),
        unary("sign", _sign),
        unary("square", _square),
        unary("sqrt", _sqrt),
        unary("rsqrt", lambda x: _reciprocal(_sqrt(x))),
        unary("reciprocal", _reciprocal),
        unary("exp", vm.exp),
        unary("exp2", _intrinsic("exp2")),
        unary("expm1", vm.expm1),
        unary("log", vm.log),
        unary("log1p", vm.log1p),
        unary("log2", _intrinsic("log2")),
        unary("log10", _intrinsic("log10")),
        unary("erf", vm.erf),
        unary("tanh", vm.tanh),
        unary("sigmoid", vm.sigmoid),
        *(unary(name, _intrinsic(name)) for name in ("sin", "cos", "tan", "asin", "acos", "atan")),
        *(unary(name, _intrinsic(name)) for name in ("sinh", "cosh", "asinh", "acosh", "atanh")),
        *(unary(name, _rounding(name)) for name in ("floor", "ceil", "trunc")),
        unary("frac", _frac),
        unary("angle", _angle),
        unary("deg2rad", _scaled(math.pi / 180)),
        unary("rad2deg", _scaled(180 / math.pi)),
        _special(
            "round",
            pointwise(_round, "self", refuse=_round_reason),
            {"decimals": 0},
        ),
        _special(
            "nan_to_num",
            pointwise(_nan_to_num, "self", refuse=_nan_to_num_reason),
            {"nan": None, "posinf": None, "neginf": None},
        ),
        _clamp_entry("clamp", "min", "max"),
        _clamp_entry("clamp_min", "min"),
        _clamp_entry("clamp_max", "max"),
        _special("to", supported(_to), {"dtype": REQUIRED}),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
