"""Scalar expressions as text. A value that is needed twice, or a branch that computes, becomes statements before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from optima.kernels.gpu.launches import printable, unprintable
from optima.kernels.gpu.printer.dialect import Dialect, f32_literal, float_bits

if TYPE_CHECKING:
    from optima.kernels.gpu.printer.names import Names

_OPERATORS = {"Add": "+", "Sub": "-", "Mul": "*"}
_COMPARISONS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_BITWISE = {
    "tirx.bitwise_and": "&", "tirx.bitwise_or": "|", "tirx.bitwise_xor": "^",
    "tirx.shift_left": "<<", "tirx.shift_right": ">>",
    "BitwiseAnd": "&", "BitwiseOr": "|", "BitwiseXor": "^", "LShift": "<<", "RShift": ">>",
}  # fmt: skip
#: TIR's own functions of floats, under "tirx." or "prim."; C's names of float64's
_FUNCTIONS = (
    "exp", "exp2", "log", "log2", "log10", "log1p", "sqrt", "fabs", "floor", "ceil", "trunc", "round", "nearbyint",
    "pow", "tanh", "erf", "atan2", "sin", "cos", "tan", "atan",
)  # fmt: skip
#: calls that are no functions: printed by themselves, or part of a statement
_KNOWN_CALLS = (
    "tirx.bitwise_not", "tirx.reinterpret", "tirx.isnan", "tirx.likely", "tirx.buffer_data", "tirx.tvm_storage_sync",
)  # fmt: skip
_IF = ("tirx.if_then_else", "prim.if_then_else")


def dtype_of(node: Any) -> str:
    """The dtype of an expression. Raises Unprintable for one that no printer knows."""
    return printable(str(node.ty.dtype))


class Expressions:
    """Prints expressions into the current list of statements of ``emit``."""

    def __init__(self, dialect: Dialect, names: Names, emit: Callable[[str], None]) -> None:
        self.dialect = dialect
        self.names = names
        self.emit = emit
        self.used: set[str] = set()
        self.dtypes: set[str] = set()
        #: statements go here instead while a branch is being printed
        self._branch: list[str] | None = None

    def text(self, node: Any) -> str:
        """An expression's text; every operand in it is a name, a literal, a call, or in parentheses."""
        dtype = dtype_of(node)
        if dtype not in self.dialect.dtypes:
            raise unprintable(dtype, self.dialect.form)
        self.dtypes.add(dtype)
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is not None:
            return str(method(node))
        if kind in _OPERATORS:
            return self._narrowed(node, f"({self.text(node.a)} {_OPERATORS[kind]} {self.text(node.b)})")
        if kind in _COMPARISONS:
            return f"({self.text(node.a)} {_COMPARISONS[kind]} {self.text(node.b)})"
        if kind in _BITWISE:
            return self._bitwise(node, _BITWISE[kind], (node.a, node.b))
        raise unprintable(f"TensorIR's {kind}")

    def once(self, node: Any) -> str:
        """The text of a value that is used more than once: a name or a literal."""
        text = self.text(node)
        if type(node).__name__ in ("Var", "IntImm", "FloatImm"):
            return text
        name = self.names.fresh("v")
        self.statement(f"{self.dialect.type_name(dtype_of(node))} {name} = {text};")
        return name

    def statement(self, text: str) -> None:
        """A statement in front of the expression at hand."""
        if self._branch is not None:
            self._branch.append(text)
        else:
            self.emit(text)

    def index(self, buffer: Any, indices: Any) -> str:
        """The row-major position of an access, as an int32. Raises Unprintable for a buffer with strides."""
        if len(buffer.strides) or len(buffer.shape) != len(indices):
            raise unprintable(f"the layout of {buffer.name}")
        if not len(indices):
            return "0"
        place = indices[0]
        for extent, index in zip(buffer.shape[1:], indices[1:], strict=True):
            place = place * extent + index
        place = self.names.analyzer.simplify(place)
        text = self.text(place)
        return text if dtype_of(place) == "int32" else self.dialect.cast("int32", text)

    def literal(self, value: float, dtype: str) -> str:
        """A number of ``dtype``."""
        if dtype == "bool":
            return "true" if value else "false"
        if dtype in ("float16", "bfloat16"):
            return self.dialect.cast(dtype, self.literal(value, "float32"))
        if dtype == "float64":
            return self._f64_literal(value)
        if dtype != "float32":
            return self.dialect.integer(int(value), dtype)
        if not math.isfinite(value) or abs(value) > 3.4028234663852886e38:
            # A literal beyond the largest float32 means infinity: that is what TVM's own would round to.
            bits = 0x7FC00000 if math.isnan(value) else 0x7F800000 | (0x80000000 if value < 0 else 0)
            return self.dialect.bits("float32", f"0x{bits:x}u", "uint32")
        if float_bits(value) & 0x7FFFFFFF == 0:
            return "0.0f" if float_bits(value) == 0 else self.dialect.bits("float32", "0x80000000u", "uint32")
        return f32_literal(value) if value > 0 else f"({f32_literal(value)})"

    def _f64_literal(self, value: float) -> str:
        if math.isfinite(value) and math.copysign(1.0, value) > 0:
            return repr(float(value))  # Python's shortest digits that read back as it
        bits = 0x7FF8000000000000 if math.isnan(value) else int(np.float64(value).view(np.uint64))
        return self.dialect.bits("float64", self.dialect.integer(bits, "uint64"), "uint64")

    def call(self, name: str, arguments: list[str]) -> str:
        """A function of C's, or ``is_nan``. Raises Unprintable for one that is not there."""
        if name in self.dialect.native:
            return f"{self.dialect.native[name]}({', '.join(arguments)})"
        if name not in self.dialect.written:
            raise unprintable(f"the function {name}", self.dialect.form)
        self.used.add(name)
        return f"{name}({', '.join(arguments)})"

    def _IntImm(self, node: Any) -> str:
        return self.literal(int(node.value), dtype_of(node))

    def _FloatImm(self, node: Any) -> str:
        return self.literal(float(node.value), dtype_of(node))

    def _Var(self, node: Any) -> str:
        return self.names.variable(node)

    def _Cast(self, node: Any) -> str:
        source, target = dtype_of(node.value), dtype_of(node)
        value = self.text(node.value)
        if source == target:
            return value
        if source == "bool":
            return f"({value} ? {self.literal(1, target)} : {self.literal(0, target)})"
        if target == "bool":
            return f"({value} != {self.literal(0, source)})"
        return self.dialect.cast(target, value)

    def _TensorLoad(self, node: Any) -> str:
        element = f"{self.names.buffer(node.source, written=False)}[{self.index(node.source, node.indices)}]"
        return f"({element} != {self.literal(0, 'uint8')})" if self.names.is_stored_bool(node.source) else element

    def _Div(self, node: Any) -> str:
        return self._narrowed(node, f"({self.text(node.a)} / {self.text(node.b)})")

    def _FloorDiv(self, node: Any) -> str:
        if self.names.never_negative(node.a) and self.names.never_negative(node.b):
            return self._Div(node)
        a, b = self.once(node.a), self.once(node.b)
        zero = self.literal(0, dtype_of(node))
        down = f"((({a} < {zero}) != ({b} < {zero})) && ({a} / {b}) * {b} != {a})"
        return self._narrowed(node, f"({a} / {b} - ({down} ? {self.literal(1, dtype_of(node))} : {zero}))")

    def _Mod(self, node: Any) -> str:
        """Not ``%``, which Vulkan leaves open for negative operands."""
        if self.names.never_negative(node.a) and self.names.never_negative(node.b):
            return self._narrowed(node, f"({self.text(node.a)} % {self.text(node.b)})")
        a, b = self.once(node.a), self.once(node.b)
        return self._narrowed(node, f"({a} - ({a} / {b}) * {b})")

    def _FloorMod(self, node: Any) -> str:
        if self.names.never_negative(node.a) and self.names.never_negative(node.b):
            return self._Mod(node)
        dtype = dtype_of(node)
        a, b, rest, zero = self.once(node.a), self.once(node.b), self.names.fresh("v"), self.literal(0, dtype)
        self.statement(
            f"{self.dialect.type_name(dtype)} {rest} = {self._narrowed(node, f'({a} - ({a} / {b}) * {b})')};"
        )
        moved = f"({rest} != {zero} && (({rest} < {zero}) != ({b} < {zero})))"
        return self._narrowed(node, f"({rest} + ({moved} ? {b} : {zero}))")

    def _BitwiseNot(self, node: Any) -> str:
        return self._narrowed(node, f"(~{self.text(node.a)})")

    def _Min(self, node: Any) -> str:
        a, b = self.once(node.a), self.once(node.b)
        return f"({a} < {b} ? {a} : {b})"

    def _Max(self, node: Any) -> str:
        a, b = self.once(node.a), self.once(node.b)
        return f"({a} > {b} ? {a} : {b})"

    def _And(self, node: Any) -> str:
        return self._short(node, "&&")

    def _Or(self, node: Any) -> str:
        return self._short(node, "||")

    def _Not(self, node: Any) -> str:
        return f"(!{self.text(node.a)})"

    def _Select(self, node: Any) -> str:
        a, b = self.text(node.true_value), self.text(node.false_value)
        return f"({self.text(node.condition)} ? {a} : {b})"

    def _Let(self, node: Any) -> str:
        name = self.names.declare(node.var)
        self.statement(f"{self.dialect.type_name(dtype_of(node.value))} {name} = {self.text(node.value)};")
        return self.text(node.body)

    def _Call(self, node: Any) -> str:
        name = str(getattr(node.op, "name", node.op))
        if name in _IF:
            return self._if_then_else(node)
        if name in _BITWISE:
            return self._bitwise(node, _BITWISE[name], tuple(node.args))
        if name == "tirx.bitwise_not":
            return self._narrowed(node, f"(~{self.text(node.args[0])})")
        if name == "tirx.reinterpret":
            (value,) = node.args
            if dtype_of(value) == dtype_of(node):
                return self.text(value)
            return self.dialect.bits(dtype_of(node), self.text(value), dtype_of(value))
        if name == "tirx.isnan":
            (value,) = node.args
            return self.call("is_nan", [self.text(value) if dtype_of(value) == "float64" else self._as_f32(value)])
        if name == "tirx.likely":
            return self.text(node.args[0])
        return self._function(node, name)

    def _function(self, node: Any, name: str) -> str:
        c, arguments = _c_function(node, name)
        dtype = dtype_of(node)
        if c == "sqrtf" and type(arguments[0]).__name__ == "FloatImm" and arguments[0].value == 0:
            return self._zero(arguments[0])
        if dtype in ("float16", "bfloat16"):
            return self.dialect.cast(dtype, self.call(c, [self._as_f32(a) for a in arguments]))
        if dtype not in ("float32", "float64"):
            raise unprintable(f"the function {c} of {dtype}", self.dialect.form)
        return self.call(c, [self.text(a) for a in arguments])

    def _zero(self, node: Any) -> str:
        """The zero that ``exact_math.opaque`` hides: some drivers take ``x * 0.0`` for 0 whatever x is."""
        sign = float_bits(float(node.value))
        bits = f"({self.dialect.hidden_zero()} | 0x{sign:x}u)" if sign else self.dialect.hidden_zero()
        return self.dialect.bits("float32", bits, "uint32")

    def _as_f32(self, node: Any) -> str:
        text = self.text(node)
        return text if dtype_of(node) == "float32" else self.dialect.cast("float32", text)

    def _bitwise(self, node: Any, sign: str, operands: tuple[Any, ...]) -> str:
        a, b = operands
        if dtype_of(node) == "bool":
            joined = {"&": "&&", "|": "||", "^": "!="}[sign]
            return f"({self.text(a)} {joined} {self.text(b)})"
        return self._narrowed(node, f"({self.text(a)} {sign} {self.text(b)})")

    def _short(self, node: Any, sign: str) -> str:
        """``and``/``or``: the right side is evaluated only where it decides, statements of its own included."""
        left = self.text(node.a)
        right, before = self._apart(node.b)
        if not before:
            return f"({left} {sign} {right})"
        name = self.names.fresh("v")
        self.statement(f"bool {name} = {left};")
        condition = name if sign == "&&" else f"!{name}"
        for line in (f"if ({condition}) {{", *before, f"{name} = {right};", "}"):
            self.statement(line)
        return name

    def _if_then_else(self, node: Any) -> str:
        """Only the branch that holds is evaluated: what it loads may exist only there."""
        condition, *branches = node.args
        chosen = self.text(condition)
        (a, before_a), (b, before_b) = (self._apart(branch) for branch in branches)
        if not before_a and not before_b:
            return f"({chosen} ? {a} : {b})"
        name = self.names.fresh("v")
        self.statement(f"{self.dialect.type_name(dtype_of(node))} {name};")
        lines = (f"if ({chosen}) {{", *before_a, f"{name} = {a};", "} else {", *before_b, f"{name} = {b};", "}")
        for line in lines:
            self.statement(line)
        return name

    def _apart(self, node: Any) -> tuple[str, list[str]]:
        """An expression's text, and the statements that it needs, kept apart."""
        outer, self._branch = self._branch, []
        text = self.text(node)
        before, self._branch = self._branch, outer
        return text, before

    def _narrowed(self, node: Any, text: str) -> str:
        """Narrow integers wrap in their own width, half-width floats round to theirs."""
        dtype = dtype_of(node)
        return self.dialect.cast(dtype, text) if dtype in self.dialect.widened else text


def _c_function(node: Any, name: str) -> tuple[str, list[Any]]:
    """C's name of a called function, and its arguments."""
    arguments = list(node.args)
    if name in ("tirx.call_pure_extern", "tirx.call_extern"):
        return str(arguments[0].value), arguments[1:]
    stem = name.rpartition(".")[2]
    if stem not in _FUNCTIONS:
        return name, arguments
    return (stem if dtype_of(node) == "float64" else f"{stem}f"), arguments


def function_fault(call: Any, dialect: Dialect) -> str:
    """What a call calls, if that cannot be printed; "" if it can."""
    name = str(getattr(call.op, "name", call.op))
    if name in _BITWISE or name in _IF or name in _KNOWN_CALLS:
        return ""
    c, _ = _c_function(call, name)
    return "" if c in dialect.native or c in dialect.written else f"the function {c}"
