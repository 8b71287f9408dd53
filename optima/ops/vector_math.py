"""Float32 functions as plain arithmetic, which LLVM turns into vector instructions; the libm call is scalar.

Correct over the whole range: infinities, NaN (kept), denormal results, signed zero. Other dtypes, and targets
that have their own fast functions (any that is not LLVM), take the intrinsic.
Range reduction and the polynomials of exp and log are those of S. L. Moshier's Cephes library (single
precision, ``expf.c`` and ``logf.c``, netlib.org/cephes). The rational forms of tanh and erf were fitted for Optima
to the exact functions (minimax on the relative error, Loeb's reweighted least squares, float64).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optima.ops.exact_math import Scalar, absolute, at_least, at_most, dtype_of, let, logical_or, select

_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_LARGEST = 3.4028234663852886e38
_EXP = (5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)
_LOG = (
    3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
    -1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2,
)  # fmt: skip
#: tanh(x) = x P(x*x) / Q(x*x), |x| <= 9.01; relative error of the fit 1.3e-9, in float32 3.2e-7
_TANH_P = (
    1.0, 0.13680383563041687, 0.0038689160719513893, 2.8019345336360857e-05, 3.06136698213777e-08,
    -1.222476894019442e-11,
)  # fmt: skip
_TANH_Q = (1.0, 0.4701371490955353, 0.027247991412878036, 0.000393966882256791, 1.2881979500889429e-06)
#: erf(x) = x P(x*x) / Q(x*x), |x| <= 3.92; relative error of the fit 1.9e-8, in float32 2.8e-7
_ERF_P = (
    1.1283791065216064, 0.19040535390377045, 0.05274854972958565, 0.0037655625492334366,
    0.0002848804579116404, 2.050082002824638e-06,
)  # fmt: skip
_ERF_Q = (
    1.0, 0.5020750761032104, 0.1141086295247078, 0.014969107694923878, 0.0011625203769654036,
    3.809154441114515e-05,
)  # fmt: skip


def _f32(value: float) -> Scalar:
    from tvm import tirx

    return tirx.const(value, "float32")


def _i32(value: int) -> Scalar:
    from tvm import tirx

    return tirx.const(value, "int32")


def _polynomial(x: Scalar, coefficients: Sequence[float]) -> Scalar:
    """``c[0] + c[1] x + ...`` by Horner's rule."""
    result = _f32(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * x + _f32(c)
    return result


def _own(x: Scalar) -> bool:
    """Whether the arithmetic form is wanted: float32 on LLVM (or where no target is set)."""
    import tvm

    target = tvm.target.Target.current(allow_none=True)
    return bool(dtype_of(x) == "float32" and (target is None or target.kind.name == "llvm"))


def exp(x: Scalar) -> Scalar:
    """``e**x``; within 2 ulp, 0 and inf beyond the range, denormals kept."""
    from tvm import tirx

    if not _own(x):
        return tirx.exp(x)
    # Past these bounds the two factors below give exactly 0 and inf; NaN passes both comparisons.
    bounded = at_least(at_most(x, _f32(89.0)), _f32(-104.0))
    return let(bounded, lambda b: let(tirx.round(b * _f32(math.log2(math.e))), lambda w: _exp_of(b, w), "w"), "x")


def falling_exp(x: Scalar) -> Scalar:
    """``e**x`` for a softmax, whose largest is 1: 0 where the result would be below the smallest normal float.

    Denormal results cost a hundred cycles each, and a mask of -inf makes many.
    """
    from tvm import tirx

    if not _own(x):
        return tirx.exp(x)
    least = _f32(-87.0)
    return let(x, lambda v: select(v < least, _f32(0.0), exp(at_least(v, least))), "x")


def _exp_of(x: Scalar, whole: Scalar) -> Scalar:
    """``2**whole e**r`` with ``r = x - whole ln 2``, ln 2 in two parts whose first has spare low bits."""
    # A NaN has no integer: it reaches the result through r.
    exponent = select(whole > _f32(-200.0), whole, _f32(0.0)).astype("int32")

    def scaled(r: Scalar) -> Scalar:
        value = _polynomial(r, _EXP) * r * r + r + _f32(1.0)
        # Two factors, one after the other: 2**n itself is no normal float for n = 128 and n < -126.
        return let(exponent, lambda n: value * _power_of_two(n >> 1) * _power_of_two(n - (n >> 1)), "n")

    return let(x - whole * _f32(_LN2_HIGH) - whole * _f32(_LN2_LOW), scaled, "r")


def _power_of_two(n: Scalar) -> Scalar:
    from tvm import tirx

    return tirx.reinterpret("float32", (n + _i32(127)) << 23)


def expm1(x: Scalar) -> Scalar:
    """``e**x - 1`` without cancellation near 0."""
    from tvm import tirx

    if not _own(x):
        return tirx.call_pure_extern(dtype_of(x), "expm1f" if dtype_of(x) == "float32" else "expm1", x)

    def pick(v: Scalar) -> Scalar:
        near = _polynomial(v, _EXP) * v * v + v
        return select(absolute(v) < _f32(0.34), near, exp(v) - _f32(1.0))

    return let(x, pick, "x")


def log(x: Scalar) -> Scalar:
    """Natural logarithm; -inf at 0, NaN below, denormals right."""
    from tvm import tirx

    return let(x, lambda v: _log_edges(v, _log_of(v)), "x") if _own(x) else tirx.log(x)


def _log_edges(x: Scalar, value: Scalar) -> Scalar:
    """``value`` where ``x`` is positive and finite; NaN and inf stay, 0 gives -inf, less gives NaN."""
    from tvm import tirx

    kept = logical_or(tirx.isnan(x), x > _f32(_LARGEST))
    zero_or_less = select(x < _f32(0.0), _f32(math.nan), _f32(-math.inf))
    return select(kept, x, select(x <= _f32(0.0), zero_or_less, value))


def _log_of(x: Scalar, near_one: Scalar | None = None, offset: Scalar | None = None) -> Scalar:
    """The logarithm of a positive finite ``x``: ``1 + offset`` where ``near_one`` holds."""
    from tvm import tirx

    tiny = x < _f32(1.17549435e-38)
    normal = select(tiny, x * _f32(2.0**25), x)

    def from_bits(bits: Scalar) -> Scalar:
        # mantissa in [sqrt(1/2), sqrt(2)): subtracting sqrt(1/2)'s bits makes the exponent step there
        exponent = (bits >> 23).astype("float32") - select(tiny, _f32(25.0), _f32(0.0))
        mantissa = tirx.reinterpret("float32", (bits & _i32(0x007FFFFF)) + _i32(0x3F3504F3)) - _f32(1.0)
        if near_one is not None:
            exponent = select(near_one, _f32(0.0), exponent)
            mantissa = select(near_one, offset, mantissa)
        return let(exponent, lambda e: let(mantissa, lambda m: _log_series(m, e), "m"), "e")

    return let(tirx.reinterpret("int32", normal) - _i32(0x3F3504F3), from_bits, "bits")


def _log_series(m: Scalar, e: Scalar) -> Scalar:
    square = m * m
    tail = _polynomial(m, _LOG) * m * square + e * _f32(_LN2_LOW) - square * _f32(0.5)
    return m + tail + e * _f32(_LN2_HIGH)


def log1p(x: Scalar) -> Scalar:
    """``log(1 + x)``; near 0 by the series of ``x`` itself, which 1 + x would round."""
    from tvm import tirx

    if not _own(x):
        return tirx.call_pure_extern(dtype_of(x), "log1pf" if dtype_of(x) == "float32" else "log1p", x)

    def of_sum(v: Scalar, u: Scalar) -> Scalar:
        return _log_edges(u, _log_of(u, absolute(v) < _f32(0.29), v))

    return let(x, lambda v: let(v + _f32(1.0), lambda u: of_sum(v, u), "u"), "x")


def tanh(x: Scalar) -> Scalar:
    """Hyperbolic tangent; within 4e-7 relative."""
    from tvm import tirx

    if not _own(x):
        return tirx.tanh(x)
    return _odd_rational(x, 9.01, _TANH_P, _TANH_Q)


def erf(x: Scalar) -> Scalar:
    """Error function; within 4e-7 relative."""
    from tvm import tirx

    return _odd_rational(x, 3.92, _ERF_P, _ERF_Q) if _own(x) else tirx.erf(x)


def _odd_rational(x: Scalar, limit: float, p: Sequence[float], q: Sequence[float]) -> Scalar:
    """``x P(x*x) / Q(x*x)``, and exactly 1 or -1 from ``limit`` on, where the function rounds to it."""

    def ratio(v: Scalar) -> Scalar:
        value = let(v * v, lambda z: v * _polynomial(z, p) / _polynomial(z, q), "z")
        outside = select(v < _f32(0.0), _f32(-1.0), _f32(1.0))
        return select(absolute(v) >= _f32(limit), outside, value)

    return let(x, ratio, "x")


def sigmoid(x: Scalar) -> Scalar:
    """``1 / (1 + e**-x)``."""
    from tvm import tirx

    one = tirx.const(1.0, dtype_of(x))
    return one / (one + exp(x * tirx.const(-1.0, dtype_of(x))))
