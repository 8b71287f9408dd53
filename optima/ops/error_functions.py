"""Scalar expressions of float64: inverses and scaled forms of the error function, and the normal distribution's."""

from __future__ import annotations

import math

from optima.ops import exact_math as em
from optima.ops.exact_math import Scalar
from optima.ops.special_functions import copysign, f64, libm

_WINITZKI = 0.147
#: from here on the series of erfcx is exact to 1e-13; up to here erfc is no denormal number
_ERFCX_SERIES_FROM = 25.0
_ERFCX_SERIES = (1.0, -1 / 2, 3 / 4, -15 / 8, 105 / 16)


def erfinv(x: Scalar) -> Scalar:
    """The inverse of the error function: infinite at 1 and -1, NaN outside."""

    def of(v: Scalar) -> Scalar:
        log = libm("log1p", em.negative(v * v))
        return em.let(_inverse(v, f64(1.0) - v, log, 2), lambda r: copysign(r, x), "r")

    return em.let(em.absolute(x), of, "a")


def _inverse(v: Scalar, rest: Scalar, log: Scalar, steps: int) -> Scalar:
    """Where the error function is ``v``, from 0 to 1; ``rest`` is 1 - v and ``log`` the logarithm of 1 - v * v.

    S. Winitzki's closed form (A handy approximation for the error function and its inverse, 2008; 2e-3), then
    Halley's steps, each of which cubes the error. Near 1 they compare complements, which keep their digits.
    """
    from tvm import tirx

    def guess(m: Scalar, q: Scalar) -> Scalar:
        return tirx.sqrt(q / (tirx.sqrt(m * m + q) + m))

    def halley(z: Scalar) -> Scalar:
        near, far = libm("erf", z) - v, rest - libm("erfc", z)
        error = em.select(em.less(v, f64(0.5)), near, far)
        step = error * f64(math.sqrt(math.pi) / 2) * tirx.exp(z * z)
        return em.let(step, lambda u: z - u / (f64(1.0) + z * u), "u")

    def start(w: Scalar) -> Scalar:
        middle, ratio = f64(2 / (math.pi * _WINITZKI)) + w * f64(0.5), em.negative(w) * f64(1 / _WINITZKI)
        return em.let(middle, lambda m: em.let(ratio, lambda q: guess(m, q), "q"), "m")

    value = em.let(log, start, "log")
    for n in range(steps):
        value = em.let(value, halley, f"z{n}")
    value = em.select(em.less(f64(0.0), rest), value, f64(math.nan))
    return em.select(em.equal(rest, f64(0.0)), f64(math.inf), value)


def erfcx(x: Scalar) -> Scalar:
    """``e**(x*x) erfc(x)``; far out by the asymptotic series (Abramowitz and Stegun 7.1.23)."""
    from tvm import tirx

    def series(v: Scalar) -> Scalar:
        def of(z: Scalar) -> Scalar:
            value = f64(_ERFCX_SERIES[-1])
            for c in reversed(_ERFCX_SERIES[:-1]):
                value = value * z + f64(c)
            return value * f64(1 / math.sqrt(math.pi)) / v

        return em.let(f64(1.0) / (v * v), of, "z")

    far = em.let(em.at_least(x, f64(_ERFCX_SERIES_FROM)), series, "far")
    near = tirx.exp(x * x) * libm("erfc", x)
    return em.select(em.less(x, f64(_ERFCX_SERIES_FROM)), near, em.select(em.is_nan(x), x, far))


def log_ndtr(x: Scalar) -> Scalar:
    """The logarithm of the area under the normal distribution's density up to ``x``."""

    def of(t: Scalar) -> Scalar:
        from tvm import tirx

        below = em.let(erfcx(em.negative(t)), lambda e: tirx.log(e * f64(0.5)) - t * t, "e")
        above = libm("log1p", libm("erfc", t) * f64(-0.5))
        return em.select(em.less(x, f64(-1.0)), below, above)

    return em.let(x * f64(math.sqrt(0.5)), of, "t")


def ndtri(p: Scalar) -> Scalar:
    """Where the area under the normal distribution's density is ``p``: infinite at 0 and 1, NaN outside."""
    from tvm import tirx

    half = f64(0.5)

    def of(rest: Scalar) -> Scalar:
        log = tirx.log(rest * (f64(2.0) - rest))
        value = _inverse(f64(1.0) - rest, rest, log, 3) * f64(math.sqrt(2))
        return em.let(value, lambda r: em.select(em.less(p, half), em.negative(r), r), "r")

    tail = em.select(em.less(p, half), p, f64(1.0) - p)
    return em.let(tail * f64(2.0), of, "rest")
