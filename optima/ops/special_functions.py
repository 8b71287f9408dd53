"""Scalar expressions of special functions, in float64 inside: Bessel functions and digamma; and of signs.

A result is rounded once, to the dtype of its argument: so float32 answers are as near as eager's or nearer,
and the same code serves float64. Sources stand with each function; the code and the numbers are Optima's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optima.ops import exact_math as em
from optima.ops.exact_math import Scalar, dtype_of

#: Chebyshev coefficients of the functions that the comments name, to 1e-17 (interpolation at 80 nodes, 40 digits).
#: The form, an argument up to 8 and its reciprocal beyond, is that of i0.c and i1.c of S. L. Moshier's Cephes library.
#: e**-x I0(x) over t = x / 4 - 1
I0_SMALL = (
    0.338397637204738042, -0.304682672343198399, 0.171620901522208775, -0.0949010970480476444,
    0.0493052842396707085, -0.0237374148058994688, 0.0105464603945949983, -0.00432430999505057594,
    0.0016394756169413358, -0.000576375574538582366, 0.000188502885095841656, -0.000057541950100821037,
    0.0000164484480707288971, -4.41673835845875056e-6, 1.11738753912010372e-6, -2.67079385394061173e-7,
    6.04699502254191895e-8, -1.30002500998624804e-8, 2.65982372468238665e-9, -5.18979560163526291e-10,
    9.67580903537323691e-11, -1.72682629144155571e-11, 2.95505266312963983e-12, -4.85644678311192946e-13,
    7.67618549860493562e-14, -1.16853328779934517e-14, 1.71539128555513303e-15, -2.43127984654795469e-16,
    3.3307945188222381e-17, -4.41534164647933938e-18,
)  # fmt: skip
#: e**-x sqrt(x) I0(x) over t = 16 / x - 1
I0_LARGE = (
    0.402245205507054416, 0.00336911647825569409, 0.0000688975834691682398, 2.89137052083475648e-6,
    2.04891858946906374e-7, 2.26666899049817806e-8, 3.39623202570838635e-9, 4.94060238822496959e-10,
    1.18891471078464383e-11, -3.14991652796324136e-11, -1.32158118404477131e-11, -1.79417853150680612e-12,
    7.18012445138366623e-13, 3.8527783827421427e-13, 1.54008621752140983e-14, -4.15056934728722209e-14,
    -9.55484669882830765e-15, 3.81168066935262242e-15, 1.77256013305652638e-15, -3.42548561967721913e-16,
    -2.82762398051658348e-16, 3.46122286769746109e-17, 4.46562142029676e-17, -4.83050448594418207e-18,
    -7.23318048787475395e-18,
)  # fmt: skip
#: e**-x I1(x) / x over t = x / 4 - 1
I1_SMALL = (
    0.126293593221816827, -0.176416518357834055, 0.102643658689847095, -0.0529459812080949914,
    0.0247264490306265168, -0.0105640848946261982, 0.00415642294431288816, -0.00151357245063125315,
    0.000512285956168575773, -0.000161760815825896746, 0.0000478156510755005423, -0.0000132731636560394358,
    3.47025130813767848e-6, -8.56872026469545474e-7, 2.00329475355213526e-7, -4.44505912879632808e-8,
    9.38153738649577178e-9, -1.88724975172282929e-9, 3.62559028155211704e-10, -6.66348972350202774e-11,
    1.17361862988909016e-11, -1.98397439776494372e-12, 3.22379336594557471e-13, -5.04218550472791169e-14,
    7.60068429473540693e-15, -1.10559694773538631e-15, 1.55363195773620047e-16, -2.11142121435816608e-17,
    2.77791411276104637e-18,
)  # fmt: skip
#: e**-x sqrt(x) I1(x) over t = 16 / x - 1
I1_LARGE = (
    0.38928811750914006, -0.00976109749136146841, -0.000110588938762623716, -3.88256480887769039e-6,
    -2.51223623787020893e-7, -2.63146884688951951e-8, -3.83538038596423702e-9, -5.58974346219658381e-10,
    -1.89749581235054123e-11, 3.25260358301548824e-11, 1.41258074366137813e-11, 2.03562854414708951e-12,
    -7.19855177624590851e-13, -4.08355111109219732e-13, -2.10154184277266431e-14, 4.27244001671195135e-14,
    1.04202769841288028e-14, -3.8144030724370078e-15, -1.88035477551078245e-15, 3.30820231092092828e-16,
    2.96262899764595014e-16, -3.20952592199342396e-17, -4.65030536848935833e-17, 4.41434832307170795e-18,
    7.51729631084210481e-18,
)  # fmt: skip
#: B(2k) / 2k, k = 1 .. 7: the asymptotic series of psi (Abramowitz and Stegun 6.3.18)
_PSI_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
#: from here on the series above is exact to 1e-16
_PSI_FROM = 10


def f64(value: float) -> Scalar:
    """A float64 literal."""
    from tvm import tirx

    return tirx.const(value, "float64")


def libm(name: str, x: Scalar) -> Scalar:
    """A function of the C library of a float64."""
    from tvm import tirx

    return tirx.call_pure_extern("float64", name, x)


def wide(function: Callable[[Scalar], Scalar]) -> Callable[[Scalar], Scalar]:
    """``function``, computed in float64 and rounded to the argument's dtype."""

    def call(x: Scalar) -> Scalar:
        return em.cast(em.let(em.cast(x, "float64"), function, "wide"), dtype_of(x))

    return call


def _chebyshev(t: Scalar, coefficients: Sequence[float]) -> Scalar:
    """``sum c[k] T_k(t)`` by Clenshaw's recurrence."""

    def of(t: Scalar) -> Scalar:
        def step(k: int, b1: Scalar, b2: Scalar) -> Scalar:
            if k == 0:
                return t * b1 - b2 + f64(coefficients[0])
            return em.let((t + t) * b1 - b2 + f64(coefficients[k]), lambda b: step(k - 1, b, b1), f"b{k}")

        return step(len(coefficients) - 2, f64(coefficients[-1]), f64(0.0))

    return em.let(t, of, "t")


def _scaled_bessel(small: Sequence[float], large: Sequence[float], x: Scalar) -> Scalar:
    """The two series at ``x >= 0``: up to 8, and beyond with ``1 / sqrt(x)``."""
    from tvm import tirx

    near = _chebyshev(em.at_most(x, f64(8.0)) * f64(0.25) - f64(1.0), small)
    far = em.let(
        em.at_least(x, f64(8.0)),
        lambda v: _chebyshev(f64(16.0) / v - f64(1.0), large) / tirx.sqrt(v),
        "far",
    )
    return em.select(em.less_equal(x, f64(8.0)), near, far)


def i0e(x: Scalar) -> Scalar:
    """``e**-|x| I0(x)`` of a float64."""
    return em.let(em.absolute(x), lambda v: _scaled_bessel(I0_SMALL, I0_LARGE, v), "v")


def i0(x: Scalar) -> Scalar:
    """The modified Bessel function of the first kind, order 0, of a float64."""
    from tvm import tirx

    def of(v: Scalar) -> Scalar:
        # e**v overflows before I0 does: half the exponent at a time.
        return em.let(tirx.exp(v * f64(0.5)), lambda e: _scaled_bessel(I0_SMALL, I0_LARGE, v) * e * e, "e")

    return em.let(em.absolute(x), of, "v")


def i1e(x: Scalar) -> Scalar:
    """``e**-|x| I1(x)`` of a float64; odd."""

    def of(v: Scalar) -> Scalar:
        value = _scaled_bessel(I1_SMALL, I1_LARGE, v)
        value = em.select(em.less_equal(v, f64(8.0)), v * value, value)
        return em.let(value, lambda r: em.select(em.less(x, f64(0.0)), em.negative(r), r), "r")

    return em.let(em.absolute(x), of, "v")


def i1(x: Scalar) -> Scalar:
    """The modified Bessel function of the first kind, order 1, of a float64."""
    from tvm import tirx

    return em.let(tirx.exp(em.absolute(x) * f64(0.5)), lambda e: i1e(x) * e * e, "e")


def digamma(x: Scalar) -> Scalar:
    """The logarithmic derivative of gamma, of a float64: infinite at 0, NaN at negative integers as in torch.

    Reflection below 0, ten steps of ``psi(x + 1) = psi(x) + 1 / x`` below 10, then the asymptotic series
    (Abramowitz and Stegun 6.3.5, 6.3.7 and 6.3.18).
    """
    from tvm import tirx

    below = em.less(x, f64(0.0))
    rest = x - tirx.trunc(x)
    # The period of the tangent is taken off before pi multiplies, which would round it.
    reflected = f64(math.pi) / libm("tan", f64(math.pi) * rest)
    positive = em.let(em.select(below, f64(1.0) - x, x), _positive_digamma, "p")
    value = positive - em.select(below, reflected, f64(0.0))
    pole = em.logical_and(below, em.equal(rest, f64(0.0)))
    value = em.select(pole, f64(math.nan), value)
    infinite = em.select(signbit(x), f64(math.inf), f64(-math.inf))
    return em.select(em.equal(x, f64(0.0)), infinite, value)


def _positive_digamma(x: Scalar) -> Scalar:
    small = em.less(x, f64(float(_PSI_FROM)))
    steps = f64(0.0)
    for k in range(_PSI_FROM):
        steps = steps + f64(1.0) / (x + f64(float(k)))

    def series(y: Scalar) -> Scalar:
        from tvm import tirx

        def of(z: Scalar) -> Scalar:
            tail = f64(_PSI_SERIES[-1])
            for c in reversed(_PSI_SERIES[:-1]):
                tail = tail * z + f64(c)
            return tirx.log(y) - f64(0.5) / y - tail * z

        return em.let(f64(1.0) / (y * y), of, "z")

    large = em.let(em.select(small, x + f64(float(_PSI_FROM)), x), series, "y")
    return large - em.select(small, steps, f64(0.0))


def _bits(x: Scalar) -> Scalar:
    from tvm import tirx

    return tirx.reinterpret("int64" if dtype_of(x) == "float64" else "int32", x)


def signbit(x: Scalar) -> Scalar:
    """Whether the sign bit of a float32 or float64 is set: true for -0 and for NaN with a sign."""
    from tvm import tirx

    bits = _bits(x)
    return bits < tirx.const(0, dtype_of(bits))


def copysign(x: Scalar, sign: Scalar) -> Scalar:
    """``x`` with the sign bit of ``sign``, both float32 or both float64."""
    from tvm import tirx

    dtype = "int64" if dtype_of(x) == "float64" else "int32"
    top = -(2**63) if dtype == "int64" else -(2**31)
    low = tirx.const(-(top + 1), dtype)
    taken = tirx.bitwise_or(tirx.bitwise_and(_bits(x), low), tirx.bitwise_and(_bits(sign), tirx.const(top, dtype)))
    return tirx.reinterpret(dtype_of(x), taken)
