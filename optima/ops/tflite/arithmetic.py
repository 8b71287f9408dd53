"""TFLite routes of broadcasting arithmetic. The order of the axes follows the operands."""

from __future__ import annotations

from optima.ops.entry import OpView, Tflite
from optima.ops.tflite.layout import Laid
from optima.ops.tflite.site import TfliteSite


def _pair(s: TfliteSite) -> tuple[tuple[int, ...], str, str]:
    order, (a, b) = s.together(("self", "other"))
    return order, a, b


def _sum(op: str) -> Tflite:
    """``self (op) alpha * other``."""

    def emit(s: TfliteSite) -> Laid:
        order, a, b = _pair(s)
        return Laid(s.writer.binary(op, a, s.writer.scaled(b, float(s.attr("alpha", 1)))), order)

    return Tflite(emit)


def _rsub(s: TfliteSite) -> Laid:
    order, a, b = _pair(s)
    return Laid(s.writer.binary("SUB", b, s.writer.scaled(a, float(s.attr("alpha", 1)))), order)


def _named(op: str) -> Tflite:
    """``self (op) other``."""

    def emit(s: TfliteSite) -> Laid:
        order, a, b = _pair(s)
        return Laid(s.writer.binary(op, a, b), order)

    return Tflite(emit)


def _minimum(s: TfliteSite) -> Laid:
    """``-max(-a, -b)``: the quantiser does not know MINIMUM."""
    order, a, b = _pair(s)
    largest = s.writer.binary("MAXIMUM", s.writer.scaled(a, -1.0), s.writer.scaled(b, -1.0))
    return Laid(s.writer.scaled(largest, -1.0), order)


def _div(s: TfliteSite) -> Laid:
    """By a constant, as a product."""
    order, a, b = _pair(s)
    return Laid(s.writer.binary("MUL", a, s.writer.data(1.0 / s.writer.constants[b])), order)


def _div_reason(view: OpView) -> str | None:
    mode = view.attrs.get("rounding_mode")
    if mode is not None:
        return f"rounding_mode={mode!r} has no TFLite form here"
    return "a division by zero" if "other" not in view.operands and view.attrs.get("other") == 0 else None


def _pow(s: TfliteSite) -> Laid:
    op = {2: "MUL", 0.5: "SQRT", -0.5: "RSQRT", 1: ""}[s.attr("exponent")]
    if op == "MUL":
        return s.each(lambda x: s.writer.binary("MUL", x, x))
    return s.each(lambda x: s.writer.unary(op, x) if op else x)


def _pow_reason(view: OpView) -> str | None:
    if "self" not in view.operands or "exponent" in view.operands:
        return "a power whose exponent is a tensor has no TFLite form here"
    exponent = view.attrs.get("exponent")
    return None if exponent in (2, 0.5, -0.5, 1) else f"a power of {exponent} has no TFLite form here"


def _addcmul(s: TfliteSite) -> Laid:
    order, (x, a, b) = s.together(("self", "tensor1", "tensor2"))
    product = s.writer.scaled(s.writer.binary("MUL", a, b), float(s.attr("value", 1)))
    return Laid(s.writer.binary("ADD", x, product), order)


def _lerp(s: TfliteSite) -> Laid:
    order, (start, end, weight) = s.together(("self", "end", "weight"))
    return Laid(
        s.writer.binary("ADD", start, s.writer.binary("MUL", weight, s.writer.binary("SUB", end, start))), order
    )


ROUTES: dict[str, Tflite] = {
    "add": _sum("ADD"),
    "sub": _sum("SUB"),
    "rsub": Tflite(_rsub),
    "mul": _named("MUL"),
    # In int8 a divisor is 0 as soon as it is small: the runtime stops there.
    "div": Tflite(_div, _div_reason, constants=("other",)),
    "maximum": _named("MAXIMUM"),
    "minimum": Tflite(_minimum),
    "pow": Tflite(_pow, _pow_reason),
    "addcmul": Tflite(_addcmul),
    "lerp": Tflite(_lerp),
}
