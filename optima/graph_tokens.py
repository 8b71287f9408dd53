"""The words of the graph's text form: names, literals, types, origins; how each is written and read.

Everything that is written here is read back to the same value, whatever characters a name holds: what is not
a plain word is quoted as a JSON string. ``optima.graph_text`` puts the words together into lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from devices import DeviceRef, UserError
from optima.graph import Origin, TensorType
from torch2nx.errors import GraphError

#: dtype -> its short form in the text
SHORT_DTYPES = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
    "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "b1", "complex64": "c64",
}  # fmt: skip
LONG_DTYPES = {short: long for long, short in SHORT_DTYPES.items()}

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_TENSOR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*\Z")
_BARE_ORIGIN = re.compile(r"[^\s;\"()#]+\Z")
_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"""[ \t]*(?:
      (?P<tensor>%(?:[A-Za-z0-9_][A-Za-z0-9_.]*|{_STRING}))
    | (?P<string>{_STRING})
    | (?P<arrow>->)
    | (?P<float>-?(?:[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|(?:inf|nan)(?![A-Za-z0-9_.])))
    | (?P<int>-?[0-9]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<mark>[()\[\]{{}}=:,@!?])
    | (?P<origins>\#.*)
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ORIGIN = re.compile(
    rf"\s*(?P<file>{_STRING}|[^\s;\"()#]+):(?P<line>-?[0-9]+) in (?P<function>{_STRING}|[^\s;\"()#]+)"
    rf"(?: \((?P<module>{_STRING}|[^\s;\"()#]+)\))?\s*(?:;|\Z)"
)


def write_name(name: str) -> str:
    """An op, graph or kernel name: bare when it is a word."""
    return name if _WORD.match(name) and name not in ("inf", "nan") else json.dumps(name)


def write_tensor(name: str) -> str:
    """``%name``."""
    return "%" + (name if _TENSOR.match(name) else json.dumps(name))


def write_type(type_: TensorType) -> str:
    """``f32[1,64,56,56]``; a dtype that has no short form is written as it is."""
    return f"{SHORT_DTYPES.get(type_.dtype, type_.dtype)}[{','.join(map(str, type_.shape))}]"


def write_literal(value: Any) -> str:
    """An attribute value. Raises GraphError for what is not None, bool, int, float, str or a list of them."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return json.dumps(str(value))
    if isinstance(value, tuple | list):
        return f"[{','.join(write_literal(v) for v in value)}]"
    raise GraphError(
        f"an attribute holds a {type(value).__name__}, which has no text form",
        hint="attributes are None, bool, int, float, str, or nested tuples of them",
    )


def write_origins(origins: Iterable[Origin]) -> str:
    """``model.py:12 in stem (layer1.0) ; ...``; the line's own text is dropped."""

    def bare(text: str) -> str:
        return text if _BARE_ORIGIN.match(text) else json.dumps(text)

    return " ; ".join(
        f"{bare(o.file)}:{o.line} in {bare(o.function)}" + (f" ({bare(o.module)})" if o.module else "")
        for o in origins
    )


class LineReader:
    """Reads one line token by token. Failures are GraphErrors with the line number and what was expected."""

    def __init__(self, text: str, number: int) -> None:
        self.text, self.number = text, number
        self._at = 0
        self._next()

    def _next(self) -> None:
        match = _TOKEN.match(self.text, self._at)
        if match is None:
            self.kind, self.token, self._start = "other", self.text[self._at :].strip()[:20], self._at
            return
        self.kind = match.lastgroup or "end"
        self.token = match.group(self.kind)
        self._start, self._at = match.start(self.kind), match.end()

    def fail(self, expected: str) -> GraphError:
        """The error to raise here."""
        found = f"found {self.token!r}" if self.token else "the line ends"
        return GraphError(
            f"line {self.number}, column {self._start + 1}: expected {expected}, but {found}",
            hint=f"the line is: {self.text.strip()}",
        )

    def take(self, kind: str, expected: str) -> str:
        """The text of the current token, which must be of ``kind``; moves on."""
        if self.kind != kind:
            raise self.fail(expected)
        token = self.token
        self._next()
        return token

    def try_mark(self, mark: str) -> bool:
        """Whether the current token is this mark or word; moves on if so."""
        if self.kind in ("mark", "word", "arrow") and self.token == mark:
            self._next()
            return True
        return False

    def mark(self, mark: str) -> None:
        """Moves over this mark. Raises GraphError if it is not there."""
        if not self.try_mark(mark):
            raise self.fail(repr(mark))

    def name(self, what: str) -> str:
        """An op, role, attribute, graph or kernel name."""
        return self._unquote(self.take("string", what)) if self.kind == "string" else self.take("word", what)

    def tensor(self) -> str:
        """A tensor's name, without its ``%``."""
        body = self.take("tensor", "a tensor such as %tensor_3")[1:]
        return self._unquote(body) if body.startswith('"') else body

    def string(self, what: str) -> str:
        """A quoted string."""
        return self._unquote(self.take("string", what))

    def integer(self, what: str) -> int:
        """A whole number."""
        return int(self.take("int", what))

    def tensor_type(self) -> TensorType:
        """``f32[1,2]``."""
        expected = f"a type such as f32[1,2] (dtypes: {', '.join(LONG_DTYPES)})"
        if self.kind != "word" or self.token not in LONG_DTYPES:
            raise self.fail(expected)
        dtype = LONG_DTYPES[self.take("word", expected)]
        self.mark("[")
        dims: list[int] = []
        while not self.try_mark("]"):
            if dims:
                self.mark(",")
            dims.append(self.integer("a dimension"))
        return TensorType(tuple(dims), dtype)

    def literal(self, sequence: type[tuple[Any, ...]] | type[list[Any]] = tuple) -> Any:
        """An attribute value; lists come back as ``sequence``."""
        if self.try_mark("["):
            members: list[Any] = []
            while not self.try_mark("]"):
                if members:
                    self.mark(",")
                members.append(self.literal(sequence))
            return sequence(members)
        if self.kind == "string":
            return self.string("a string")
        if self.kind == "int":
            return self.integer("a number")
        if self.kind == "float":
            text = self.take("float", "a number")
            return math.nan if text.endswith("nan") else float(text)
        words = {"None": None, "True": True, "False": False}
        if self.kind == "word" and self.token in words:
            return words[self.take("word", "a value")]
        raise self.fail('a value: None, True, a number, a "string" or a [list]')

    def device(self) -> DeviceRef:
        """``X64:0``."""
        text = self.take("word", "a device such as X64:0")
        self.mark(":")
        try:
            return DeviceRef.parse(f"{text}:{self.take('int', 'the index of a device')}")
        except UserError as error:
            raise GraphError(f"line {self.number}: {error.message}", hint=error.hint) from error

    def origins(self) -> tuple[Origin, ...]:
        """What stands after ``#``, or () where the line ends."""
        if self.kind != "origins":
            return ()
        text, at, found = self.token[1:], 0, []
        while at < len(text):
            match = _ORIGIN.match(text, at)
            if match is None:
                raise self.fail("an origin such as '# model.py:12 in forward (layer1.0)'")
            file, function, module = (self._bare(match.group(g)) for g in ("file", "function", "module"))
            found.append(Origin(file, int(match.group("line")), function, module))
            at = match.end()
        self._next()
        return tuple(found)

    def end(self) -> None:
        """Nothing more may follow. Raises GraphError if something does."""
        if self.kind != "end":
            raise self.fail("the end of the line")

    def _bare(self, text: str | None) -> str:
        if text is None:
            return ""
        return self._unquote(text) if text.startswith('"') else text

    def _unquote(self, text: str) -> str:
        try:
            return str(json.loads(text))
        except ValueError as error:
            raise GraphError(f"line {self.number}: {text} is not a JSON string: {error}") from error
