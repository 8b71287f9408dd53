"""Broadcasting arithmetic. An operand may be a Python scalar: it is then the attribute of the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optima.ops import exact_math as em
from optima.ops.division import float_floor_divide, float_remainder, integer_divide, integer_power, integer_remainder
from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.onnx.arithmetic import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Refuse, pointwise
from optima.ops.promotion import is_float, scalar_fits
from optima.ops.reference import aten
from optima.ops.tflite.arithmetic import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite


def arithmetic(
    name: str,
    operands: tuple[str, ...],
    function: Callable[..., Scalar],
    attrs: Mapping[str, Any] | None = None,
    refuse: Refuse = lambda view: None,
) -> OpEntry:
    """An entry that combines its operands element by element, in the output's dtype."""
    route = pointwise(function, *operands, refuse=refuse)
    return OpEntry(name, operands, aten(name), attrs or {}, frozenset({Trait.ELEMENTWISE}), route)


def _scaled(view: OpView, key: str, x: Scalar) -> Scalar:
    factor = view.attrs.get(key, 1)
    return x if factor == 1 else em.multiply(em.constant(factor, dtype_of(x)), x)


def _factor_reason(key: str) -> Refuse:
    def reason(view: OpView) -> str | None:
        factor, dtype = view.attrs.get(key, 1), view.outputs[0].dtype
        if not scalar_fits(factor, dtype) or (isinstance(factor, float) and not is_float(dtype)):
            return f"{key}={factor!r} does not fit in {dtype}"
        return None

    return reason


def _no_bool(view: OpView) -> str | None:
    return f"{view.op} of bool" if view.outputs[0].dtype == "bool" else None


def _divide(view: OpView, a: Scalar, b: Scalar) -> Scalar:
    return _rounded_divide(view.attrs.get("rounding_mode"), a, b)


def _rounded_divide(rounding: str | None, a: Scalar, b: Scalar) -> Scalar:
    from tvm import tirx

    if rounding is None:
        return em.divide(a, b)
    if not is_float(dtype_of(a)):
        return integer_divide(a, b, rounding)
    if rounding == "trunc":
        return tirx.trunc(em.divide(a, b))
    return em.let(a, lambda x: em.let(b, lambda y: float_floor_divide(x, y), "b"), "a")


def _divide_reason(view: OpView) -> str | None:
    mode = view.attrs.get("rounding_mode")
    return _no_bool(view) if mode in (None, "trunc", "floor") else f"rounding_mode={mode!r}"


def _remainder(rounding: str) -> Callable[[OpView, Scalar, Scalar], Scalar]:
    def function(view: OpView, a: Scalar, b: Scalar) -> Scalar:
        if not is_float(dtype_of(a)):
            return integer_remainder(a, b, rounding)
        return em.let(b, lambda y: float_remainder(a, y, rounding), "b")

    return function


def _power(view: OpView, base: Scalar, exponent: Scalar) -> Scalar:
    if "exponent" in view.operands:
        return _pow(base, exponent) if is_float(dtype_of(base)) else integer_power(base, exponent)
    n = view.attrs["exponent"]
    if not is_float(dtype_of(base)):
        return em.let(base, lambda v: _integer_power(v, int(n)))
    special = _special_power(float(n))
    return em.let(base, special) if special else _pow(base, exponent)


def _pow(base: Scalar, exponent: Scalar) -> Scalar:
    """The C library's, with its answers at inf, NaN and negative bases; scalar."""
    from tvm import tirx

    dtype = dtype_of(base)
    return tirx.call_pure_extern(dtype, "powf" if dtype == "float32" else "pow", base, exponent)


def _integer_power(base: Scalar, n: int) -> Scalar:
    from tvm import tirx

    if n == 0:
        return tirx.const(1, dtype_of(base))
    half = _integer_power(base, n // 2) if n > 1 else None
    if half is None:
        return base
    squared = em.let(half, lambda h: em.multiply(h, h), "half")
    return em.multiply(squared, base) if n % 2 else squared


def _special_power(n: float) -> Callable[[Scalar], Scalar] | None:
    """The powers that torch computes without ``pow``: their answers at inf and NaN are the short form's."""
    from tvm import tirx

    def one(v: Scalar) -> Scalar:
        return tirx.const(1.0, dtype_of(v))

    table: dict[float, Callable[[Scalar], Scalar]] = {
        0.0: one,
        0.5: tirx.sqrt,
        1.0: lambda v: v,
        2.0: lambda v: v * v,
        3.0: lambda v: v * v * v,
        -0.5: lambda v: one(v) / tirx.sqrt(v),
        -1.0: lambda v: one(v) / v,
        -2.0: lambda v: one(v) / (v * v),
    }
    return table.get(n)


def _power_reason(view: OpView) -> str | None:
    if is_float(view.outputs[0].dtype):
        return None
    if view.outputs[0].dtype == "bool":
        return "pow of bool"
    return "a negative power of integers" if view.attrs.get("exponent", 0) < 0 else None


def _multiply_add(view: OpView, x: Scalar, a: Scalar, b: Scalar) -> Scalar:
    return em.add(x, em.multiply(_scaled(view, "value", a), b))


def _divide_add(view: OpView, x: Scalar, a: Scalar, b: Scalar) -> Scalar:
    return em.add(x, em.divide(_scaled(view, "value", a), b))


def _divide_add_reason(view: OpView) -> str | None:
    return None if is_float(view.outputs[0].dtype) else "addcdiv of integers"


def _lerp(view: OpView, start: Scalar, end: Scalar, weight: Scalar) -> Scalar:
    """From whichever end is nearer, as torch does: exact at weights 0 and 1."""
    from tvm import tirx

    one, half = tirx.const(1.0, dtype_of(start)), tirx.const(0.5, dtype_of(start))

    def value(w: Scalar) -> Scalar:
        span = em.subtract(end, start)
        near = em.add(start, em.multiply(w, span))
        far = em.subtract(end, em.multiply(span, em.subtract(one, w)))
        return em.select(em.less(em.absolute(w), half), near, far)

    return em.let(weight, value) if "weight" in view.operands else value(weight)


def _atan2(view: OpView, a: Scalar, b: Scalar) -> Scalar:
    from tvm import tirx

    return tirx.atan2(a, b)


def _hypot(view: OpView, a: Scalar, b: Scalar) -> Scalar:
    from tvm import tirx

    dtype = dtype_of(a)
    return tirx.call_pure_extern(dtype, "hypotf" if dtype == "float32" else "hypot", a, b)


def _extreme_number(view: OpView, a: Scalar, b: Scalar) -> Scalar:
    """fmax, fmin: the one that is a number where the other is NaN."""
    extreme = em.maximum if view.op == "fmax" else em.minimum
    return em.select(em.is_nan(a), b, em.select(em.is_nan(b), a, extreme(a, b)))


def _heaviside(view: OpView, x: Scalar, values: Scalar) -> Scalar:
    """0 below 0 and for NaN, 1 above, ``values`` at 0."""
    from tvm import tirx

    if dtype_of(x) == "bool":
        return em.logical_or(x, values)
    step = em.select(em.less(em.zero(x), x), tirx.const(1, dtype_of(x)), em.zero(x))
    return em.select(em.equal(x, em.zero(x)), values, step)


_PAIR = ("self", "other")

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        arithmetic(
            "add", _PAIR, lambda v, a, b: em.add(a, _scaled(v, "alpha", b)), {"alpha": 1}, _factor_reason("alpha")
        ),
        arithmetic(
            "sub",
            _PAIR,
            lambda v, a, b: em.subtract(a, _scaled(v, "alpha", b)),
            {"alpha": 1},
            _factor_reason("alpha"),
        ),
        arithmetic(
            "rsub",
            _PAIR,
            lambda v, a, b: em.subtract(b, _scaled(v, "alpha", a)),
            {"alpha": 1},
            _factor_reason("alpha"),
        ),
        arithmetic("mul", _PAIR, lambda v, a, b: em.multiply(a, b)),
        arithmetic("div", _PAIR, _divide, {"rounding_mode": None}, _divide_reason),
        arithmetic("floor_divide", _PAIR, lambda v, a, b: _rounded_divide("floor", a, b), refuse=_no_bool),
        arithmetic("remainder", _PAIR, _remainder("floor"), refuse=_no_bool),
        arithmetic("fmod", _PAIR, _remainder("trunc"), refuse=_no_bool),
        arithmetic("pow", ("self", "exponent"), _power, refuse=_power_reason),
        arithmetic("maximum", _PAIR, lambda v, a, b: em.maximum(a, b)),
        arithmetic("minimum", _PAIR, lambda v, a, b: em.minimum(a, b)),
        arithmetic("fmax", _PAIR, _extreme_number),
        arithmetic("fmin", _PAIR, _extreme_number),
        arithmetic("heaviside", ("self", "values"), _heaviside),
        arithmetic("hypot", _PAIR, _hypot),
        arithmetic("atan2", _PAIR, _atan2),
        arithmetic("addcmul", ("self", "tensor1", "tensor2"), _multiply_add, {"value": 1}, _factor_reason("value")),
        arithmetic("addcdiv", ("self", "tensor1", "tensor2"), _divide_add, {"value": 1}, _divide_add_reason),
        arithmetic("lerp", ("self", "end", "weight"), _lerp),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
