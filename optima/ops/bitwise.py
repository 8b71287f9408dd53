"""Shifts of integers, and what works on the bits of floats: signs, mantissas, neighbours, another dtype's view."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from optima.graph import numpy_dtype
from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.pointwise import Tensors, pointwise, read, supported
from optima.ops.promotion import is_float
from optima.ops.reference import aten
from optima.ops.special_functions import copysign, signbit

_PAIR = ("self", "other")
_ELEMENTWISE = frozenset({Trait.ELEMENTWISE})


def _entry(name: str, operands: tuple[str, ...], route: Te) -> OpEntry:
    return OpEntry(name, operands, aten(name), {}, _ELEMENTWISE, route)


def _shift(direction: str) -> Callable[[OpView, Scalar, Scalar], Scalar]:
    """A shift by a negative number or by the width and more gives what shifting everything out leaves, as in torch."""

    def function(view: OpView, a: Scalar, b: Scalar) -> Scalar:
        from tvm import tirx

        dtype = dtype_of(a)
        width = numpy_dtype(dtype).itemsize * 8
        last = tirx.const(width - 1, dtype)
        outside = em.less(last, b)
        if dtype != "uint8":
            outside = em.logical_or(outside, em.less(b, em.zero(b)))
        if direction == "right":
            gone = em.zero(a) if dtype == "uint8" else tirx.shift_right(a, last)
            return em.select(outside, gone, tirx.shift_right(a, em.select(outside, last, b)))
        return em.select(outside, em.zero(a), _shifted_left(a, em.select(outside, last, b)))

    return function


def _shifted_left(a: Scalar, by: Scalar) -> Scalar:
    """The bits that stay, in an unsigned dtype: what leaves a signed one is not defined."""
    from tvm import tirx

    dtype = dtype_of(a)
    unsigned = "u" + dtype.removeprefix("u")
    bits, count = tirx.reinterpret(unsigned, a), tirx.reinterpret(unsigned, by)
    return tirx.reinterpret(dtype, tirx.shift_left(bits, count))


def _shift_reason(view: OpView) -> str | None:
    dtype = view.outputs[0].dtype
    return f"a shift of {dtype}" if is_float(dtype) or dtype == "bool" else None


def _signbit(view: OpView, x: Scalar) -> Scalar:
    from tvm import tirx

    dtype = dtype_of(x)
    if is_float(dtype):
        return signbit(x)
    return tirx.const(False, "bool") if dtype in ("bool", "uint8") else em.less(x, em.zero(x))


def _nextafter(view: OpView, x: Scalar, y: Scalar) -> Scalar:
    """The bits, one up or down: they order floats of one sign. A bfloat16 comes as the float32 of its value."""
    from tvm import tirx

    kind = "int64" if dtype_of(x) == "float64" else "int32"
    one = tirx.const(1 << 16 if view.outputs[0].dtype == "bfloat16" else 1, kind)
    bits = tirx.reinterpret(kind, x)
    away = em.select(em.less(x, y), em.less(em.zero(x), x), em.less(x, em.zero(x)))
    moved = tirx.reinterpret(dtype_of(x), em.select(away, bits + one, bits - one))
    smallest = copysign(tirx.reinterpret(dtype_of(x), one), y)
    value = em.select(em.equal(x, em.zero(x)), smallest, moved)
    value = em.select(em.equal(x, y), y, value)
    return em.select(em.is_nan(x), x, em.select(em.is_nan(y), y, value))


def _frexp(view: OpView, tensors: Tensors) -> list[Any]:
    """A mantissa from 0.5 to 1 and an exponent; 0, inf and NaN keep their value beside the exponent 0.

    Through float64, in which a denormal number of a narrower dtype is a normal one.
    """
    from tvm import te, tirx

    x, out = tensors["self"], view.outputs[0]

    def with_bits(index: tuple[Any, ...], body: Callable[[Scalar, Scalar, Scalar, Scalar], Scalar]) -> Scalar:
        value = em.cast(em.cast(read(x, index), em.math_dtype(out.dtype)), "float64")

        def of(v: Scalar) -> Scalar:
            tiny = em.less(em.absolute(v), tirx.const(2.0**-1022, "float64"))
            scaled = em.select(tiny, v * tirx.const(2.0**54, "float64"), v)
            whole = em.logical_and(
                em.less(em.absolute(v), tirx.const(math.inf, "float64")), em.not_equal(v, em.zero(v))
            )
            return em.let(tirx.reinterpret("int64", scaled), lambda bits: body(v, bits, tiny, whole), "bits")

        return em.let(value, of, "v")

    def mantissa(*index: Any) -> Scalar:
        def of(v: Scalar, bits: Scalar, tiny: Scalar, whole: Scalar) -> Scalar:
            kept = tirx.bitwise_and(bits, tirx.const(-(0x7FF << 52) - 1, "int64"))
            half = tirx.bitwise_or(kept, tirx.const(1022 << 52, "int64"))
            return em.cast(em.select(whole, tirx.reinterpret("float64", half), v), out.dtype)

        return with_bits(index, of)

    def exponent(*index: Any) -> Scalar:
        def of(v: Scalar, bits: Scalar, tiny: Scalar, whole: Scalar) -> Scalar:
            field = tirx.bitwise_and(tirx.shift_right(bits, tirx.const(52, "int64")), tirx.const(0x7FF, "int64"))
            bias = em.select(tiny, tirx.const(1022 + 54, "int64"), tirx.const(1022, "int64"))
            return em.select(whole, field - bias, tirx.const(0, "int64")).astype("int32")

        return with_bits(index, of)

    return [
        te.compute(out.shape, mantissa, name="mantissa"),
        te.compute(out.shape, exponent, name="exponent"),
    ]


def _bitcast(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te, tirx

    x, out = tensors["self"], view.outputs[0]

    def at(*index: Any) -> Scalar:
        value = x(*index)
        return em.cast(value, "uint8") if dtype_of(value) == "bool" else tirx.reinterpret(out.dtype, value)

    return [te.compute(out.shape, at, name="bitcast")]


def _bitcast_reason(view: OpView) -> str | None:
    source, target = view.first.dtype, view.outputs[0].dtype
    if numpy_dtype(source).itemsize != numpy_dtype(target).itemsize:
        return f"a view of {source} as {target}, which has another width"
    if "bool" in (source, target) and (source, target) != ("bool", "uint8"):
        return f"a view of {source} as {target}: the bits of a bool are 0 and 1"
    return None


def _floats(view: OpView) -> str | None:
    dtype = view.outputs[0].dtype
    return None if dtype in ("float32", "float64", "bfloat16") else f"{view.op} of {dtype}"


def _own_dtype(view: OpView) -> str:
    return view.first.dtype


def _copysign(view: OpView, a: Scalar, b: Scalar) -> Scalar:
    return copysign(a, b)


ENTRIES: tuple[OpEntry, ...] = (
    _entry("bitwise_left_shift", _PAIR, pointwise(_shift("left"), *_PAIR, refuse=_shift_reason)),
    _entry("bitwise_right_shift", _PAIR, pointwise(_shift("right"), *_PAIR, refuse=_shift_reason)),
    _entry("signbit", ("self",), pointwise(_signbit, "self", dtype=_own_dtype)),
    _entry("copysign", _PAIR, pointwise(_copysign, *_PAIR)),
    _entry("nextafter", _PAIR, pointwise(_nextafter, *_PAIR, refuse=_floats)),
    OpEntry("frexp", ("self",), aten("frexp.Tensor"), {}, frozenset(), supported(_frexp)),
    OpEntry(
        "view", ("self",), aten("view.dtype"), {"dtype": REQUIRED}, _ELEMENTWISE, supported(_bitcast, _bitcast_reason)
    ),
)
