"""Comparisons, boolean and bitwise logic, and selection by a mask."""

from __future__ import annotations

import math
from collections.abc import Callable

from optima.ops import exact_math as em
from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.onnx.compare import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import pointwise, promoted
from optima.ops.promotion import is_float
from optima.ops.reference import aten

_PAIR = ("self", "other")
_ELEMENTWISE = frozenset({Trait.ELEMENTWISE})


def _comparison(name: str, function: Callable[[Scalar, Scalar], Scalar]) -> OpEntry:
    route = pointwise(lambda view, a, b: function(a, b), *_PAIR, dtype=promoted(*_PAIR))
    return OpEntry(name, _PAIR, aten(name), {}, _ELEMENTWISE, route)


def _logical(name: str, operands: tuple[str, ...], function: Callable[..., Scalar]) -> OpEntry:
    route = pointwise(lambda view, *values: function(*values), *operands, dtype=lambda view: "bool")
    return OpEntry(name, operands, aten(name), {}, _ELEMENTWISE, route)


def _bitwise(name: str, operands: tuple[str, ...], on_bool: Callable[..., Scalar]) -> OpEntry:
    def function(view: OpView, *values: Scalar) -> Scalar:
        from tvm import tirx

        return on_bool(*values) if dtype_of(values[0]) == "bool" else getattr(tirx, name)(*values)

    return OpEntry(name, operands, aten(name), {}, _ELEMENTWISE, pointwise(function, *operands))


def _classify(name: str, function: Callable[[Scalar], Scalar]) -> OpEntry:
    def on_kind(view: OpView, x: Scalar) -> Scalar:
        if is_float(dtype_of(x)):
            return function(x)
        from tvm import tirx

        return tirx.const(name == "isfinite", "bool")

    route = pointwise(on_kind, "self", dtype=lambda view: view.first.dtype)
    return OpEntry(name, ("self",), aten(name), {}, _ELEMENTWISE, route)


def _infinity(x: Scalar, sign: float = 1.0) -> Scalar:
    from tvm import tirx

    return tirx.const(sign * math.inf, dtype_of(x))


def _is_inf(x: Scalar) -> Scalar:
    return em.equal(em.absolute(x), _infinity(x))


def _where(view: OpView, condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    return em.select(condition, a, b)


def _masked_fill(view: OpView, x: Scalar, mask: Scalar, value: Scalar) -> Scalar:
    return em.select(mask, value, x)


def _masked_fill_dtype(view: OpView) -> str:
    return view.operands["self"].dtype


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _comparison("eq", em.equal),
        _comparison("ne", em.not_equal),
        _comparison("lt", em.less),
        _comparison("le", em.less_equal),
        _comparison("gt", lambda a, b: em.less(b, a)),
        _comparison("ge", lambda a, b: em.less_equal(b, a)),
        _logical("logical_and", _PAIR, em.logical_and),
        _logical("logical_or", _PAIR, em.logical_or),
        _logical("logical_xor", _PAIR, em.logical_xor),
        _logical("logical_not", ("self",), em.logical_not),
        _bitwise("bitwise_and", _PAIR, em.logical_and),
        _bitwise("bitwise_or", _PAIR, em.logical_or),
        _bitwise("bitwise_xor", _PAIR, em.logical_xor),
        _bitwise("bitwise_not", ("self",), em.logical_not),
        _classify("isnan", em.is_nan),
        _classify("isinf", _is_inf),
        _classify("isfinite", lambda x: em.less(em.absolute(x), _infinity(x))),
        _classify("isposinf", lambda x: em.equal(x, _infinity(x))),
        _classify("isneginf", lambda x: em.equal(x, _infinity(x, -1.0))),
        OpEntry(
            "where",
            ("condition", "self", "other"),
            aten("where"),
            {},
            _ELEMENTWISE,
            pointwise(_where, "condition", "self", "other", masks=("condition",)),
        ),
        OpEntry(
            "masked_fill",
            ("self", "mask", "value"),
            aten("masked_fill"),
            {},
            _ELEMENTWISE,
            pointwise(_masked_fill, "self", "mask", "value", dtype=_masked_fill_dtype, masks=("mask",)),
        ),
    ),
    ROUTES,
)
