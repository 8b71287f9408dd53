"""Special functions: gamma, Bessel and error functions, logarithms of sums, and logistic forms."""

from __future__ import annotations

import math
from collections.abc import Callable

from optima.ops import error_functions as ef
from optima.ops import exact_math as em
from optima.ops import special_functions as sf
from optima.ops import vector_math as vm
from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.exact_math import Scalar, dtype_of
from optima.ops.pointwise import pointwise
from optima.ops.reference import aten

_ELEMENTWISE = frozenset({Trait.ELEMENTWISE})


def _unary(name: str, function: Callable[[Scalar], Scalar]) -> OpEntry:
    route = pointwise(lambda view, x: function(x), "self")
    return OpEntry(name, ("self",), aten(name), {}, _ELEMENTWISE, route)


def _pair(name: str, function: Callable[[Scalar, Scalar], Scalar]) -> OpEntry:
    route = pointwise(lambda view, a, b: function(a, b), "self", "other")
    return OpEntry(name, ("self", "other"), aten(name), {}, _ELEMENTWISE, route)


def _libm(name: str) -> Callable[[Scalar], Scalar]:
    """A function of the C library in the argument's own precision."""

    def call(x: Scalar) -> Scalar:
        from tvm import tirx

        return tirx.call_pure_extern(dtype_of(x), name + ("f" if dtype_of(x) == "float32" else ""), x)

    return call


def _number(value: float, x: Scalar) -> Scalar:
    return em.constant(value, dtype_of(x))


def _sinc(x: Scalar) -> Scalar:
    """``sin(pi x) / (pi x)``, the product rounded as in torch; 1 at 0."""

    def of(product: Scalar) -> Scalar:
        ratio = _libm("sin")(product) / product
        return em.select(em.equal(product, em.zero(product)), _number(1.0, product), ratio)

    return em.let(em.multiply(x, _number(math.pi, x)), of, "product")


def _logit(view: OpView, x: Scalar) -> Scalar:
    eps = view.attrs.get("eps")
    if eps is not None:
        low, high = _number(eps, x), _number(1.0 - eps, x)
        x = em.let(x, lambda v: em.select(em.less(v, low), low, em.select(em.less(high, v), high, v)), "x")
    return em.let(x, lambda v: vm.log(em.divide(v, em.subtract(_number(1.0, v), v))), "v")


def _times_log(log: Callable[[Scalar], Scalar]) -> Callable[[Scalar, Scalar], Scalar]:
    """``a log(b)``, 0 where ``a`` is 0 whatever ``b``, NaN where ``b`` is."""

    def of(a: Scalar, b: Scalar) -> Scalar:
        product = em.multiply(a, em.let(log(b), lambda v: v, "log"))
        value = em.select(em.equal(a, em.zero(a)), em.zero(a), product)
        return em.select(em.is_nan(b), b, value)

    return of


def _log_of_sum(base: float) -> Callable[[Scalar, Scalar], Scalar]:
    """``log(base**a + base**b)``: the larger plus a logarithm near 0; equal infinities stay."""

    def of(a: Scalar, b: Scalar) -> Scalar:
        distance = em.negative(em.absolute(em.subtract(a, b)))
        power = vm.exp(distance if base == math.e else em.multiply(distance, _number(math.log(base), a)))
        rest = em.multiply(vm.log1p(power), _number(1 / math.log(base), a))
        same_infinity = em.logical_and(em.equal(a, b), em.equal(em.absolute(a), _number(math.inf, a)))
        return em.select(same_infinity, a, em.add(em.maximum(a, b), rest))

    return of


ENTRIES: tuple[OpEntry, ...] = (
    _unary("erfc", _libm("erfc")),
    _unary("erfinv", sf.wide(ef.erfinv)),
    _unary("lgamma", _libm("lgamma")),
    _unary("digamma", sf.wide(sf.digamma)),
    _unary("i0", sf.wide(sf.i0)),
    _unary("special_i0e", sf.wide(sf.i0e)),
    _unary("special_i1", sf.wide(sf.i1)),
    _unary("special_i1e", sf.wide(sf.i1e)),
    _unary("special_erfcx", sf.wide(ef.erfcx)),
    _unary("special_log_ndtr", sf.wide(ef.log_ndtr)),
    _unary("special_ndtri", sf.wide(ef.ndtri)),
    _unary("sinc", _sinc),
    OpEntry("logit", ("self",), aten("logit"), {"eps": None}, _ELEMENTWISE, pointwise(_logit, "self")),
    _pair("xlogy", _times_log(vm.log)),
    _pair("special_xlog1py", _times_log(vm.log1p)),
    _pair("logaddexp", _log_of_sum(math.e)),
    _pair("logaddexp2", _log_of_sum(2.0)),
)
