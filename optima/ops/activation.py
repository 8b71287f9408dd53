"""Activation functions: bounded, exponential and gated units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from optima.ops import exact_math as em
from optima.ops import vector_math as vm
from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.indices import axis
from optima.ops.onnx.activation import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Tensors, pointwise, supported
from optima.ops.promotion import is_float, scalar_fits
from optima.ops.reference import aten
from optima.ops.tflite.activation import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
_MISH_LINEAR = 20.0  # from here on tanh(log1p(e**x)) is 1 in float32, as in float64 to 1e-17


def activation(
    name: str,
    function: Callable[[OpView, Scalar], Scalar],
    attrs: Mapping[str, Any] | None = None,
    refuse: Callable[[OpView], str | None] = lambda view: None,
) -> OpEntry:
    """An entry whose element is ``function`` of the operand's, with attributes."""
    route = pointwise(function, "self", refuse=refuse)
    return OpEntry(name, ("self",), aten(name), attrs or {}, frozenset({Trait.ELEMENTWISE}), route)


def _number(value: float, x: Scalar) -> Scalar:
    return em.constant(value, dtype_of(x))


def _relu(view: OpView, x: Scalar) -> Scalar:
    return em.at_least(x, em.zero(x)) if dtype_of(x) not in ("uint8", "bool") else x


def _hardtanh(view: OpView, x: Scalar) -> Scalar:
    dtype = view.outputs[0].dtype
    low, high = em.constant(view.attrs["min_val"], dtype), em.constant(view.attrs["max_val"], dtype)
    return em.at_most(em.at_least(x, low), high)


def _hardtanh_reason(view: OpView) -> str | None:
    dtype = view.outputs[0].dtype
    for key in ("min_val", "max_val"):
        value = view.attrs[key]
        if value != value or not scalar_fits(value, dtype):
            return f"{key}={value!r} does not fit in {dtype}"
    return "hardtanh of uint8" if dtype == "uint8" else None


def _sixth(x: Scalar) -> Scalar:
    """``clamp(x + 3, 0, 6) / 6``."""
    clipped = em.at_most(em.at_least(x + _number(3.0, x), _number(0.0, x)), _number(6.0, x))
    return clipped / _number(6.0, x)


def _hardswish(view: OpView, x: Scalar) -> Scalar:
    def value(v: Scalar) -> Scalar:
        clipped = em.at_most(em.at_least(v + _number(3.0, v), _number(0.0, v)), _number(6.0, v))
        return v * clipped / _number(6.0, v)

    return em.let(x, value)


def _leaky_relu(view: OpView, x: Scalar) -> Scalar:
    slope = _number(float(view.attrs["negative_slope"]), x)
    return em.let(x, lambda v: em.select(em.less(em.zero(v), v), v, em.multiply(v, slope)))


def _silu(view: OpView, x: Scalar) -> Scalar:
    return em.let(x, lambda v: v / (_number(1.0, v) + vm.exp(em.negative(v))))


def _gelu(view: OpView, x: Scalar) -> Scalar:
    def exact(v: Scalar) -> Scalar:
        return v * _number(0.5, v) * (_number(1.0, v) + vm.erf(v * _number(math.sqrt(0.5), v)))

    def by_tanh(v: Scalar) -> Scalar:
        inner = _number(math.sqrt(2 / math.pi), v) * (v + _number(0.044715, v) * v * v * v)
        return _number(0.5, v) * v * (_number(1.0, v) + vm.tanh(inner))

    return em.let(x, by_tanh if view.attrs.get("approximate", "none") == "tanh" else exact)


def _gelu_reason(view: OpView) -> str | None:
    mode = view.attrs.get("approximate", "none")
    return None if mode in ("none", "tanh") else f"approximate={mode!r}"


def _exponential_unit(x: Scalar, alpha: float, scale: float, input_scale: float) -> Scalar:
    """``x * scale`` where positive, else ``expm1(x * input_scale) * alpha * scale``."""

    def value(v: Scalar) -> Scalar:
        low = em.multiply(vm.expm1(em.multiply(v, _number(input_scale, v))), _number(alpha * scale, v))
        return em.select(em.less_equal(v, em.zero(v)), low, em.multiply(v, _number(scale, v)))

    return em.let(x, value)


def _elu(view: OpView, x: Scalar) -> Scalar:
    a = view.attrs
    return _exponential_unit(x, float(a["alpha"]), float(a["scale"]), float(a["input_scale"]))


def _celu(view: OpView, x: Scalar) -> Scalar:
    alpha = float(view.attrs["alpha"])
    return _exponential_unit(x, alpha, 1.0, 1.0 / alpha)


def _softplus(view: OpView, x: Scalar) -> Scalar:
    beta, threshold = float(view.attrs["beta"]), float(view.attrs["threshold"])

    def value(v: Scalar) -> Scalar:
        scaled = em.multiply(v, _number(beta, v))
        soft = vm.log1p(vm.exp(scaled)) / _number(beta, v)
        return em.select(em.less(_number(threshold, v), scaled), v, soft)

    return em.let(x, value)


def _mish(view: OpView, x: Scalar) -> Scalar:
    """``x tanh(log1p(e))`` with ``e = e**x``; the tanh of a log is the rational ``n / (n + 2)``, n = e(e + 2)."""

    def value(v: Scalar) -> Scalar:
        def ratio(e: Scalar) -> Scalar:
            return em.let(e * (e + _number(2.0, e)), lambda n: v * (n / (n + _number(2.0, n))))

        small = em.let(vm.exp(em.at_most(v, _number(_MISH_LINEAR, v))), ratio)
        return em.select(em.less(_number(_MISH_LINEAR, v), v), v, small)

    return em.let(x, value)


def _log_sigmoid(view: OpView, x: Scalar) -> Scalar:
    def value(v: Scalar) -> Scalar:
        return em.at_most(v, em.zero(v)) - vm.log1p(vm.exp(em.negative(em.absolute(v))))

    return em.let(x, value)


def _threshold(view: OpView, x: Scalar) -> Scalar:
    # Half types are compared in float32 with the threshold as it was given.
    limit = em.constant(view.attrs["threshold"], dtype_of(x))
    value = em.constant(view.attrs["value"], view.outputs[0].dtype)
    return em.let(x, lambda v: em.select(em.less_equal(v, limit), value, v))


def _threshold_reason(view: OpView) -> str | None:
    dtype = view.outputs[0].dtype
    for key in ("threshold", "value"):
        number = view.attrs[key]
        if not is_float(dtype) and (number != int(number) or not scalar_fits(number, dtype)):
            return f"{key}={number!r} does not fit in {dtype}"
    return None


def _hardshrink(view: OpView, x: Scalar) -> Scalar:
    """0 within ``lambd`` of 0, else ``x``."""
    lambd, dtype = float(view.attrs["lambd"]), view.outputs[0].dtype
    low, high = em.constant(-lambd, dtype), em.constant(lambd, dtype)

    def value(v: Scalar) -> Scalar:
        within = em.logical_and(em.less_equal(low, v), em.less_equal(v, high))
        return em.select(within, em.zero(v), v)

    return em.let(x, value)


def _softshrink(view: OpView, x: Scalar) -> Scalar:
    """0 within ``lambd`` of 0; beyond it ``x`` moved towards 0 by it. NaN stays."""
    lambd = float(view.attrs["lambd"])
    high, low = _number(lambd, x), _number(-lambd, x)

    def value(v: Scalar) -> Scalar:
        inside = em.select(em.is_nan(v), v, em.zero(v))
        return em.select(em.less(high, v), v - high, em.select(em.less(v, low), v + high, inside))

    return em.let(x, value)


def _glu(view: OpView, tensors: Tensors) -> list[Any]:
    """The first half of ``dim`` times the logistic function of the second."""
    from tvm import te

    x, out = tensors["self"], view.outputs[0]
    dim = axis(view.attrs["dim"], len(out.shape))
    wide = em.math_dtype(out.dtype)

    def at(*index: Any) -> Scalar:
        gate = em.cast(x(*[i + out.shape[dim] if d == dim else i for d, i in enumerate(index)]), wide)
        value = em.let(vm.sigmoid(gate), lambda g: em.multiply(em.cast(x(*index), wide), g), "gate")
        return em.cast(value, out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _prelu(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, weight = tensors["self"], tensors["weight"]
    out = view.outputs[0]
    single = view.operands["weight"].numel == 1
    wide = em.math_dtype(out.dtype)

    def at(*index: Any) -> Scalar:
        place = [index[1] if len(index) > 1 and not single else 0] * len(weight.shape)
        slope = em.cast(weight(*place), wide)
        value = em.let(em.cast(x(*index), wide), lambda v: em.select(em.less(em.zero(v), v), v, em.multiply(slope, v)))
        return em.cast(value, out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _prelu_reason(view: OpView) -> str | None:
    weight = view.operands["weight"]
    if len(weight.shape) > 1:
        return "a weight with more than one dimension"
    if weight.numel != 1 and len(view.operands["self"].shape) < 2:
        return "one weight per channel of an input without channels"
    return None


_ELEMENTWISE = frozenset({Trait.ELEMENTWISE})
_PRELU: Te = supported(_prelu, _prelu_reason)

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        activation("relu", _relu),
        activation("hardtanh", _hardtanh, {"min_val": -1, "max_val": 1}, _hardtanh_reason),
        activation("hardsigmoid", lambda view, x: _sixth(x)),
        activation("hardswish", _hardswish),
        activation("leaky_relu", _leaky_relu, {"negative_slope": 0.01}),
        activation("silu", _silu),
        activation("gelu", _gelu, {"approximate": "none"}, _gelu_reason),
        activation("elu", _elu, {"alpha": 1, "scale": 1, "input_scale": 1}),
        activation("celu", _celu, {"alpha": 1.0}),
        activation("selu", lambda view, x: _exponential_unit(x, _SELU_ALPHA, _SELU_SCALE, 1.0)),
        activation("softplus", _softplus, {"beta": 1, "threshold": 20}),
        activation("mish", _mish),
        activation("log_sigmoid", _log_sigmoid),
        activation("threshold", _threshold, {"threshold": REQUIRED, "value": REQUIRED}, _threshold_reason),
        activation("hardshrink", _hardshrink, {"lambd": 0.5}),
        activation("softshrink", _softshrink, {"lambd": 0.5}),
        OpEntry("glu", ("self",), aten("glu"), {"dim": -1}, frozenset(), supported(_glu)),
        OpEntry("prelu", ("self", "weight"), aten("prelu"), {}, _ELEMENTWISE, _PRELU),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
