"""ONNX routes of broadcasting arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.elementwise import trunc
from optima.ops.onnx.routes import FLOATING, NUMBERS, only
from optima.ops.onnx.site import OpSite
from optima.ops.promotion import is_float

_TAKEN = (*NUMBERS, "bool")
_RESULT = only(*NUMBERS)
#: rests in float16 differ by more than its rounding from runtime to runtime
_REST = only("float32", "int64", "int32")


def _pair(s: OpSite) -> tuple[str, str]:
    return s.value("self", s.out.dtype), s.value("other", s.out.dtype)


def _sum(op_type: str) -> Onnx:
    """``self (op) alpha * other``."""

    def emit(s: OpSite) -> str:
        a, b = _pair(s)
        return s.node(op_type, a, s.scaled(b, s.attr("alpha", 1)))

    return Onnx(emit, _RESULT, _TAKEN)


def _rsub(s: OpSite) -> str:
    a, b = _pair(s)
    return s.node("Sub", b, s.scaled(a, s.attr("alpha", 1)))


def _named(op_type: str) -> Onnx:
    return Onnx(lambda s: s.node(op_type, *_pair(s)), _RESULT, _TAKEN)


def _floor_of_integers(s: OpSite, a: str, b: str) -> str:
    """ONNX divides towards zero: one less where there is a remainder and the signs differ."""
    quotient = s.node("Div", a, b)
    rest = s.node("Sub", a, s.node("Mul", quotient, b))
    zero = s.number(0)
    uneven = s.node("Not", s.node("Equal", rest, zero))
    opposite = s.node("Xor", s.node("Less", rest, zero), s.node("Less", b, zero))
    return s.node("Sub", quotient, s.writer.cast(s.node("And", uneven, opposite), s.out.dtype))


def _div(s: OpSite) -> str:
    a, b = _pair(s)
    mode = s.attr("rounding_mode")
    if mode is None:
        return s.node("Div", a, b)
    if mode == "floor":
        return _floor_of_integers(s, a, b)
    quotient = s.node("Div", a, b)
    return trunc(s, quotient) if is_float(s.out.dtype) else quotient


def _div_reason(view: OpView) -> str | None:
    mode = view.attrs.get("rounding_mode")
    if mode == "floor" and is_float(view.outputs[0].dtype):
        return "floor division of floats (torch corrects the rounded quotient) has no ONNX form"
    return _RESULT(view) if mode in (None, "trunc", "floor") else f"rounding_mode={mode!r}"


def _floor_divide_reason(view: OpView) -> str | None:
    if is_float(view.outputs[0].dtype):
        return "floor division of floats (torch corrects the rounded quotient) has no ONNX form"
    return _RESULT(view)


def _remainder(s: OpSite) -> str:
    """With the divisor's sign."""
    a, b = _pair(s)
    if not is_float(s.out.dtype):
        return s.node("Mod", a, b, fmod=0)
    rest, zero = s.node("Mod", a, b, fmod=1), s.number(0.0)
    opposite = s.node("Xor", s.node("Less", rest, zero), s.node("Less", b, zero))
    uneven = s.node("Not", s.node("Equal", rest, zero))
    return s.where(s.node("And", uneven, opposite), s.node("Add", rest, b), rest)


def _pow(s: OpSite) -> str:
    if not s.has("exponent") and s.attr("exponent") == 2:
        base = s.value("self", s.out.dtype)
        return s.node("Mul", base, base)
    return s.node("Pow", s.value("self", s.out.dtype), s.value("exponent", s.out.dtype))


def _pow_reason(view: OpView) -> str | None:
    if not is_float(view.outputs[0].dtype) and view.attrs.get("exponent") != 2:
        return "a power of integers, other than the square, has no ONNX form here: it would not wrap"
    return _RESULT(view)


def _three(combine: str) -> Callable[[OpSite], str]:
    """``self + value * (tensor1 (combine) tensor2)``."""

    def emit(s: OpSite) -> str:
        x, a, b = (s.value(role, s.out.dtype) for role in ("self", "tensor1", "tensor2"))
        return s.node("Add", x, s.scaled(s.node(combine, a, b), s.attr("value", 1)))

    return emit


def _lerp(s: OpSite) -> str:
    start, end, weight = (s.value(role, s.out.dtype) for role in ("self", "end", "weight"))
    return s.node("Add", start, s.node("Mul", weight, s.node("Sub", end, start)))


ROUTES: dict[str, Onnx] = {
    "add": _sum("Add"),
    "sub": _sum("Sub"),
    "rsub": Onnx(_rsub, _RESULT, _TAKEN),
    "mul": _named("Mul"),
    "div": Onnx(_div, _div_reason, _TAKEN),
    "floor_divide": Onnx(lambda s: _floor_of_integers(s, *_pair(s)), _floor_divide_reason, _TAKEN),
    "remainder": Onnx(_remainder, _REST, _TAKEN),
    "fmod": Onnx(lambda s: s.node("Mod", *_pair(s), fmod=1), _REST, _TAKEN),
    "pow": Onnx(_pow, _pow_reason, _TAKEN),
    "maximum": Onnx(lambda s: s.extreme("Max", *_pair(s)), _RESULT, _TAKEN),
    "minimum": Onnx(lambda s: s.extreme("Min", *_pair(s)), _RESULT, _TAKEN),
    "addcmul": Onnx(_three("Mul"), _RESULT, _TAKEN),
    "addcdiv": Onnx(_three("Div"), only(*FLOATING), _TAKEN),
    "lerp": Onnx(_lerp),
}
