"""Scalar expressions with PyTorch's meaning where the expression compiler would take a liberty.

TVM 0.27's simplifier treats floats like reals in some places: ``x * 0`` and ``x - x`` become 0, ``x == x`` true,
``not (a < b)`` becomes ``a >= b``, and ``!=`` is false for NaN. Each function here is the form that keeps
IEEE-754's answer (tests/ops holds a case with inf, NaN and -0 for each). Integers wrap as in torch: TVM takes signed
ones of 32 and 64 bits for indices that never overflow (``x * 3 // 3`` becomes ``x``), and tells LLVM the same (of
unsigned ones too), so their sums and products are those of integers twice as wide.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optima.ops.promotion import is_float, wrapped

#: a scalar expression of the kernel compiler (``tvm.tirx.Expr``)
Scalar = Any


def dtype_of(x: Scalar) -> str:
    """The dtype of a scalar expression, as Optima spells it."""
    return str(x.ty.dtype)


def let(value: Scalar, body: Any, name: str = "v") -> Scalar:
    """``body(value)`` with ``value`` evaluated once.

    Whatever uses an operand twice must bind it: fusing would put the producer's expression in both places.
    """
    from tvm import tirx

    if isinstance(value, tirx.Var | tirx.IntImm | tirx.FloatImm):
        return body(value)
    variable = tirx.Var(name, dtype_of(value))
    return tirx.Let(variable, value, body(variable))


def constant(value: Any, dtype: str) -> Scalar:
    """A literal rounded to ``dtype``, held in the dtype that ``dtype`` is computed in (f16, bf16: f32)."""
    from tvm import tirx

    if dtype == "bool":
        return tirx.const(bool(value), "bool")
    if not is_float(dtype):
        return tirx.const(int(value), dtype)
    number = float(value)
    if dtype == "float16":
        with np.errstate(over="ignore"):
            number = float(np.float16(number))
    elif dtype == "bfloat16":
        number = _round_to_bfloat16(number)
    elif dtype == "float32":
        with np.errstate(over="ignore"):
            number = float(np.float32(number))
    return tirx.const(number, math_dtype(dtype))


def _round_to_bfloat16(number: float) -> float:
    with np.errstate(over="ignore"):
        single = np.float32(number)
    if not np.isfinite(single):
        return float(single)
    bits = int(single.view(np.uint32))
    bits += 0x7FFF + (bits >> 16 & 1)  # to nearest, ties to even
    return float(np.uint32(bits & 0xFFFF0000).view(np.float32))


def math_dtype(dtype: str) -> str:
    """The dtype to compute in: half-width floats are stored, not computed with."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def cast(x: Scalar, dtype: str) -> Scalar:
    """``x.to(dtype)``: floats truncate to integers (through a wide integer, so narrow ones wrap), bool is != 0."""
    source = dtype_of(x)
    if source == dtype:
        return x
    if source == "bfloat16":
        return cast(_bfloat16_value(x), dtype)
    if dtype == "bool":
        return not_equal(x, zero(x))
    if source == "float16" and dtype != "float32":
        return cast(x.astype("float32"), dtype)
    if dtype == "bfloat16":
        return _bfloat16_bits(x.astype("float32"))
    if dtype == "float16":
        return x.astype("float32").astype("float16")
    if is_float(source) and dtype in ("int8", "int16"):
        return x.astype("int32").astype(dtype)
    if is_float(source) and dtype == "uint8":
        return x.astype("int64").astype(dtype)
    return x.astype(dtype)


def _bfloat16_value(x: Scalar) -> Scalar:
    """The float32 that a bfloat16 stands for.

    By its bits: TVM 0.27's own casts from and to bfloat16 fail where a ``let`` is involved.
    """
    from tvm import tirx

    bits = tirx.reinterpret("uint16", x).astype("uint32") << tirx.const(16, "uint32")
    return tirx.reinterpret("float32", bits)


def _bfloat16_bits(x: Scalar) -> Scalar:
    """A float32 rounded to the nearest bfloat16, ties to even; NaN stays NaN."""
    from tvm import tirx

    def rounded(v: Scalar) -> Scalar:
        def from_bits(bits: Scalar) -> Scalar:
            one, half = tirx.const(1, "uint32"), tirx.const(0x7FFF, "uint32")
            odd = tirx.bitwise_and(bits >> tirx.const(16, "uint32"), one)
            return (bits + half + odd) >> tirx.const(16, "uint32")

        bits = let(tirx.reinterpret("uint32", v), from_bits, "bits")
        return tirx.Select(tirx.isnan(v), tirx.const(0x7FC0, "uint32"), bits).astype("uint16")

    return tirx.reinterpret("bfloat16", let(x, rounded, "wide"))


def literal(value: Any, dtype: str, index: Sequence[Any]) -> Scalar:
    """A literal to be stored at ``index`` in a tensor of ``dtype``, which nothing folds with what it meets.

    TVM 0.27 does not lower a vector store of a bfloat16 that is the same in all lanes: the bits come with a
    zero made from the index, which LLVM removes.
    """
    from tvm import tirx

    number = constant(value, dtype)
    if dtype != "bfloat16":
        return cast(opaque(number), dtype)
    bits = tirx.const(int(np.float32(number.value).view(np.uint32)) >> 16, "uint16")
    if not index:
        return cast(opaque(number), dtype)
    nothing = tirx.bitwise_and(index[-1], tirx.const(0, "int32")).astype("uint16")
    return tirx.reinterpret("bfloat16", tirx.bitwise_or(bits, nothing))


def zero(x: Scalar) -> Scalar:
    """A literal zero of ``x``'s dtype."""
    from tvm import tirx

    return tirx.const(0, dtype_of(x))


def opaque(x: Scalar) -> Scalar:
    """Hide a literal zero from the expression compiler, which folds ``x * 0`` and ``0 / x`` to 0 (NaN, inf)."""
    from tvm import tirx

    # LLVM folds sqrt(0) to the same signed zero, after the stage that would fold the product.
    return tirx.sqrt(x) if isinstance(x, tirx.FloatImm) and x.value == 0 else x


#: literals beyond this may lie at an end of their dtype's range
_FAR = 2**30

#: where no sum or product of two overflows
_TWICE = {"int32": "int64", "int64": "int128"}


def _wrapping(operation: Callable[[Scalar, Scalar], Scalar], a: Scalar, b: Scalar) -> Scalar:
    """An operation on integers of one dtype, modulo 2 to its width.

    On LLVM it is that of integers twice as wide, which LLVM narrows again. Elsewhere there may be none so wide, and
    the unsigned integers of the same width wrap: TVM's simplifier leaves them alone.
    """
    from tvm import tirx

    dtype = dtype_of(a)
    if dtype not in _TWICE:
        return operation(a, b)
    if isinstance(a, tirx.IntImm) and isinstance(b, tirx.IntImm):
        return tirx.const(wrapped(operation(a.value, b.value), dtype), dtype)
    if _is_llvm():
        return operation(a.astype(_TWICE[dtype]), b.astype(_TWICE[dtype])).astype(dtype)
    unsigned = "u" + dtype
    return tirx.reinterpret(dtype, operation(tirx.reinterpret(unsigned, a), tirx.reinterpret(unsigned, b)))


def _is_llvm() -> bool:
    """Whether expressions are for LLVM, which is also what no target stands for."""
    import tvm

    target = tvm.target.Target.current(allow_none=True)
    return bool(target is None or target.kind.name == "llvm")


def add(a: Scalar, b: Scalar) -> Scalar:
    """``a + b``; integers wrap."""
    if dtype_of(a) == "bool":
        return logical_or(a, b)
    return _wrapping(operator.add, opaque(a), opaque(b))


def subtract(a: Scalar, b: Scalar) -> Scalar:
    """``a - b``; the difference of a float with itself is NaN for inf and NaN; integers wrap."""
    return add(a, negative(b)) if is_float(dtype_of(a)) else _wrapping(operator.sub, a, b)


def negative(x: Scalar) -> Scalar:
    """``-x``; the sign of zero flips, integers wrap."""
    from tvm import tirx

    if is_float(dtype_of(x)):
        return x * tirx.const(-1.0, dtype_of(x))
    return _wrapping(operator.sub, zero(x), x)


def multiply(a: Scalar, b: Scalar) -> Scalar:
    """``a * b``; integers wrap."""
    if dtype_of(a) == "bool":
        return logical_and(a, b)
    return _wrapping(operator.mul, opaque(a), opaque(b))


def divide(a: Scalar, b: Scalar) -> Scalar:
    """``a / b`` of floats."""
    from tvm import tirx

    return tirx.div(opaque(a), opaque(b))


def is_nan(x: Scalar) -> Scalar:
    """Whether ``x`` is NaN; false for integers and for literals."""
    from tvm import tirx

    if not is_float(dtype_of(x)) or isinstance(x, tirx.FloatImm):
        return tirx.const(bool(isinstance(x, tirx.FloatImm) and np.isnan(x.value)), "bool")
    return tirx.isnan(x)


def equal(a: Scalar, b: Scalar) -> Scalar:
    """``a == b``."""
    a, b = _comparable(a), _comparable(b)
    if a.same_as(b):
        return logical_not(is_nan(a))
    return a.equal(b)


def not_equal(a: Scalar, b: Scalar) -> Scalar:
    """``a != b``: true where either is NaN."""
    from tvm import tirx

    a, b = _comparable(a), _comparable(b)
    if any(isinstance(x, tirx.FloatImm) and np.isnan(x.value) for x in (a, b)):
        return tirx.const(True, "bool")
    differs = tirx.NE(a, b)
    for x in (a, b):
        if is_float(dtype_of(x)) and not isinstance(x, tirx.FloatImm):
            differs = tirx.any(differs, tirx.isnan(x))
    return differs


def less(a: Scalar, b: Scalar) -> Scalar:
    """``a < b``."""
    return _comparable(a) < _comparable(b)


def less_equal(a: Scalar, b: Scalar) -> Scalar:
    """``a <= b``."""
    return _comparable(a) <= _comparable(b)


def _comparable(x: Scalar) -> Scalar:
    """``x`` in a form that a comparison keeps: the simplifier takes the ends of a dtype's range for out of reach."""
    from tvm import tirx

    if isinstance(x, tirx.IntImm) and dtype_of(x) in _TWICE and abs(x.value) > _FAR:
        return tirx.reinterpret(dtype_of(x), tirx.reinterpret("u" + dtype_of(x), x))
    return x.astype("int8") if dtype_of(x) == "bool" else x


def select(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """``a`` where ``condition``, else ``b``; both are evaluated."""
    from tvm import tirx

    return tirx.Select(condition, a, b)


def logical_not(x: Scalar) -> Scalar:
    """Not of a bool, in a form that the simplifier does not push into a comparison."""
    from tvm import tirx

    return tirx.Select(x, tirx.const(False, "bool"), tirx.const(True, "bool"))


def logical_and(a: Scalar, b: Scalar) -> Scalar:
    """And of bools."""
    from tvm import tirx

    return tirx.all(a, b)


def logical_or(a: Scalar, b: Scalar) -> Scalar:
    """Or of bools."""
    from tvm import tirx

    return tirx.any(a, b)


def logical_xor(a: Scalar, b: Scalar) -> Scalar:
    """Xor of bools."""
    from tvm import tirx

    return tirx.NE(a.astype("int8"), b.astype("int8"))


def maximum(a: Scalar, b: Scalar) -> Scalar:
    """The larger; NaN where either is NaN."""
    if dtype_of(a) == "bool":
        return logical_or(a, b)
    return let(a, lambda x: let(b, lambda y: select(logical_or(less(y, x), is_nan(x)), x, y)))


def minimum(a: Scalar, b: Scalar) -> Scalar:
    """The smaller; NaN where either is NaN."""
    if dtype_of(a) == "bool":
        return logical_and(a, b)
    return let(a, lambda x: let(b, lambda y: select(logical_or(less(x, y), is_nan(x)), x, y)))


def at_least(x: Scalar, low: Scalar) -> Scalar:
    """``maximum(x, low)`` for a ``low`` that is not NaN: one vector instruction."""
    return let(x, lambda v: select(less(v, low), low, v))


def at_most(x: Scalar, high: Scalar) -> Scalar:
    """``minimum(x, high)`` for a ``high`` that is not NaN: one vector instruction."""
    return let(x, lambda v: select(less(high, v), high, v))


def absolute(x: Scalar) -> Scalar:
    """``|x|``; the most negative integer stays as it is."""
    from tvm import tirx

    if dtype_of(x) in ("int32", "int64"):
        return let(x, lambda v: select(less(v, zero(v)), negative(v), v))
    return x if dtype_of(x) in ("bool", "uint8") else tirx.abs(x)
