"""Quotients and remainders with torch's rounding and signs, which never trap, and powers of integers."""

from __future__ import annotations

from optima.ops.exact_math import (
    Scalar,
    divide,
    dtype_of,
    equal,
    less,
    let,
    logical_and,
    logical_or,
    logical_xor,
    multiply,
    negative,
    not_equal,
    select,
    subtract,
    zero,
)


def integer_divide(a: Scalar, b: Scalar, rounding: str) -> Scalar:
    """Integer quotient, ``rounding`` "trunc" or "floor".

    A divisor of 0 gives 0 (torch raises; a kernel must not trap), and one of -1 the wrapped negative, because
    the processor traps on the most negative number divided by -1.
    """
    from tvm import tirx

    quotient = tirx.truncdiv if rounding == "trunc" else tirx.floordiv
    if isinstance(b, tirx.IntImm) and b.value not in (0, -1):
        return quotient(a, b)
    one = tirx.const(1, dtype_of(a))
    by_zero = b.equal(zero(b))
    if dtype_of(a) == "uint8":
        return select(by_zero, zero(a), quotient(a, select(by_zero, one, b)))
    by_minus_one = b.equal(tirx.const(-1, dtype_of(b)))
    safe = quotient(a, select(logical_or(by_zero, by_minus_one), one, b))
    return select(by_zero, zero(a), select(by_minus_one, negative(a), safe))


def integer_remainder(a: Scalar, b: Scalar, rounding: str) -> Scalar:
    """What the division leaves: the sign of the divisor for "floor", of the dividend for "trunc".

    A divisor of 0 gives 0 (torch raises).
    """
    from tvm import tirx

    remainder = tirx.truncmod if rounding == "trunc" else tirx.floormod
    if isinstance(b, tirx.IntImm) and b.value not in (0, -1):
        return remainder(a, b)
    trivial = b.equal(zero(b))
    if dtype_of(a) != "uint8":
        trivial = logical_or(trivial, b.equal(tirx.const(-1, dtype_of(b))))
    return select(trivial, zero(a), remainder(a, select(trivial, tirx.const(1, dtype_of(a)), b)))


def float_remainder(a: Scalar, b: Scalar, rounding: str) -> Scalar:
    """C's ``fmod`` ("trunc"), or the remainder with the divisor's sign ("floor")."""
    from tvm import tirx

    name = "fmodf" if dtype_of(a) == "float32" else "fmod"
    rest = tirx.call_pure_extern(dtype_of(a), name, a, b)
    if rounding == "trunc":
        return rest

    def adjust(m: Scalar) -> Scalar:
        moved = logical_and(not_equal(m, zero(m)), logical_xor(less(b, zero(b)), less(m, zero(m))))
        return select(moved, m + b, m)

    return let(rest, adjust, "rest")


def float_floor_divide(a: Scalar, b: Scalar) -> Scalar:
    """``floor(a / b)`` by way of the exact remainder, as Python and torch define it."""
    from tvm import tirx

    def finish(div: Scalar) -> Scalar:
        dtype = dtype_of(div)
        floored = let(
            tirx.floor(div),
            lambda f: select(less(tirx.const(0.5, dtype), div - f), f + tirx.const(1.0, dtype), f),
            "floored",
        )
        ratio = divide(a, b)
        signed_zero = select(less(ratio, zero(ratio)), tirx.const(-0.0, dtype), tirx.const(0.0, dtype))
        return select(equal(b, zero(b)), ratio, select(not_equal(div, zero(div)), floored, signed_zero))

    def quotient(m: Scalar) -> Scalar:
        exact = divide(subtract(a, m), b)
        crossed = logical_and(not_equal(m, zero(m)), logical_xor(less(b, zero(b)), less(m, zero(m))))
        return select(crossed, exact - tirx.const(1.0, dtype_of(a)), exact)

    rest = float_remainder(a, b, "trunc")
    return let(rest, lambda m: let(quotient(m), finish, "div"), "rest")


def integer_power(base: Scalar, exponent: Scalar) -> Scalar:
    """``base ** exponent`` of one integer dtype, wrapping; by squaring, a step per bit of the exponent.

    A negative exponent gives 1 and -1 their powers and 0 to any other base, as in torch.
    """
    from tvm import tirx

    dtype = dtype_of(base)
    one, two = tirx.const(1, dtype), tirx.const(2, dtype)
    bits = int(dtype.removeprefix("u").removeprefix("int")) - (0 if dtype == "uint8" else 1)

    def odd(e: Scalar) -> Scalar:
        return tirx.bitwise_and(e, one).equal(one)

    def step(bit: int, result: Scalar, square: Scalar) -> Scalar:
        if bit == bits:
            return result
        chosen = odd(tirx.shift_right(exponent, tirx.const(bit, dtype)))
        product = select(chosen, multiply(result, square), result)
        squared = multiply(square, square)
        return let(product, lambda r: let(squared, lambda s: step(bit + 1, r, s), f"s{bit}"), f"r{bit}")

    power = step(0, one, base)
    if dtype == "uint8":
        return power
    unit = select(base.equal(one - two), select(odd(exponent), base, one), zero(base))
    return select(less(exponent, zero(exponent)), select(base.equal(one), one, unit), power)
