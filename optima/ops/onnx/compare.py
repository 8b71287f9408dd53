"""ONNX routes of comparisons, logic and selection by a mask."""

from __future__ import annotations

from collections.abc import Callable

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import ANY, NUMBERS, only
from optima.ops.onnx.site import OpSite
from optima.ops.pointwise import common_dtype
from optima.ops.promotion import is_float

_PAIR = ("self", "other")
_TAKEN = (*NUMBERS, "bool")
_OR_EQUAL_SINCE = 12


def _pair(s: OpSite) -> tuple[str, str, str]:
    """Both operands in the dtype that they are compared in, and that dtype; bools are compared as integers."""
    dtype = common_dtype(s.view, _PAIR)
    dtype = "int32" if dtype == "bool" else dtype
    a, b = (s.value(role, dtype) for role in _PAIR)
    return a, b, dtype


def _comparison(*op_types: str) -> Onnx:
    def emit(s: OpSite) -> str:
        a, b, _ = _pair(s)
        first, *rest = op_types
        return s.chain(s.node(first, a, b), *rest)

    return Onnx(emit, _compared, _TAKEN)


def _or_equal(op_type: str) -> Onnx:
    def emit(s: OpSite) -> str:
        a, b, _ = _pair(s)
        if s.writer.opset >= _OR_EQUAL_SINCE:
            return s.node(f"{op_type}OrEqual", a, b)
        return s.node("Or", s.node(op_type, a, b), s.node("Equal", a, b))

    return Onnx(emit, _compared, _TAKEN)


def _compared(view: OpView) -> str | None:
    """ONNX rounds a Python number to the tensor's dtype; torch compares with the number itself."""
    value, dtype = view.attrs.get("other"), view.operands["self"].dtype
    if value != value:
        return "a comparison with NaN"
    if isinstance(value, float) and dtype == "float16":
        return "a comparison of float16 with a Python number has no ONNX form"
    return None


def _logical(op_type: str) -> Onnx:
    return Onnx(lambda s: s.node(op_type, *(s.value(r, "bool") for r in _PAIR)), dtypes=_TAKEN)


def _bitwise(op_type: str) -> Onnx:
    """Of bools; of integers since version 18, where few devices have it."""
    return Onnx(lambda s: s.node(op_type, *(s.value(r, "bool") for r in _PAIR)), only("bool"), _TAKEN)


def _classified(of_float: Callable[[OpSite], str], of_integer: bool) -> Onnx:
    def emit(s: OpSite) -> str:
        if is_float(s.view.first.dtype):
            return of_float(s)
        # Integers are always finite: the constant, in the operand's shape.
        return s.writer.expand(s.number(of_integer), s.out.shape)

    return Onnx(emit, dtypes=_TAKEN)


def _not_finite(s: OpSite) -> str:
    return s.node("Or", s.node("IsNaN", s.first), _is_inf(s))


def _is_inf(s: OpSite, **attrs: int) -> str:
    wide = s.value("self", "float32")  # IsInf takes float16 since version 20 only
    return s.node("IsInf", wide, **attrs)


def _where(s: OpSite) -> str:
    return _chosen(s, s.value("condition", "bool"), s.value("self", s.out.dtype), s.value("other", s.out.dtype))


def _masked_fill(s: OpSite) -> str:
    return _chosen(s, s.value("mask", "bool"), s.value("value", s.out.dtype), s.first)


def _chosen(s: OpSite, condition: str, a: str, b: str) -> str:
    """Bools by logic: few runtimes have a Where of them."""
    if s.out.dtype != "bool":
        return s.where(condition, a, b)
    return s.node("Or", s.node("And", condition, a), s.node("And", s.node("Not", condition), b))


ROUTES: dict[str, Onnx] = {
    "eq": _comparison("Equal"),
    "ne": _comparison("Equal", "Not"),
    "lt": _comparison("Less"),
    "gt": _comparison("Greater"),
    "le": _or_equal("Less"),
    "ge": _or_equal("Greater"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "logical_not": Onnx(lambda s: s.node("Not", s.value("self", "bool")), dtypes=_TAKEN),
    "bitwise_and": _bitwise("And"),
    "bitwise_or": _bitwise("Or"),
    "bitwise_xor": _bitwise("Xor"),
    "bitwise_not": Onnx(lambda s: s.node("Not", s.first), only("bool"), _TAKEN),
    "isnan": _classified(lambda s: s.node("IsNaN", s.first), False),
    "isinf": _classified(_is_inf, False),
    "isposinf": _classified(lambda s: _is_inf(s, detect_negative=0), False),
    "isneginf": _classified(lambda s: _is_inf(s, detect_positive=0), False),
    "isfinite": _classified(lambda s: s.node("Not", _not_finite(s)), True),
    "where": Onnx(_where, dtypes=ANY),
    "masked_fill": Onnx(_masked_fill, dtypes=ANY),
}
