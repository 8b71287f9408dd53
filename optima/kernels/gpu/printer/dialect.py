"""What differs between the languages that kernels are printed in; expressions and statements are the same in all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optima.kernels.gpu.launches import unprintable
from optima.kernels.gpu.printer.functions.function import Function

#: integers that most languages compute with as int32
NARROW_INTEGERS = frozenset(("int8", "int16", "uint8", "uint16"))


@dataclass(frozen=True)
class Argument:
    """A global buffer of a kernel: its name in the text, its stored dtype, and whether the kernel writes it."""

    name: str
    dtype: str
    written: bool


@dataclass(frozen=True)
class Shared:
    """An array in workgroup memory."""

    name: str
    dtype: str
    length: int


@dataclass(frozen=True)
class Kernel:
    """What a dialect puts around a body: the kernel's name and interface, and the functions that it calls.

    ``functions``: their texts (``printer.functions``), which speak of ``BITS``, ``FLOAT``, ``INT``, ``UINT``, ``REAL``
    and ``ABS``; "" for none. ``dtypes``: all that occur.
    """

    entry_point: str
    arguments: Sequence[Argument]
    shared: Sequence[Shared]
    threads: tuple[int, int, int]
    functions: str
    body: str
    dtypes: frozenset[str]


class Dialect(ABC):
    """One language.

    ``form``: what a refusal calls it. ``types``: dtype -> the language's name of it, for each that it computes with;
    results of arithmetic in those of ``widened`` are wider than the operands and must be cast back. ``wide_suffix``:
    what makes a literal 64 bits wide and unsigned. ``native``: C's name of a function -> the language's own;
    ``written``: those that it needs as text. ``multiply_add``: dtype -> the function of a, b and c that is
    ``a * b + c``, fused where the device does so at no cost. ``barrier``: the statement at which the threads of a
    workgroup meet.
    """

    form: str
    types: Mapping[str, str]
    widened: frozenset[str] = NARROW_INTEGERS
    wide_suffix: str = "ul"
    native: Mapping[str, str]
    written: Mapping[str, Function]
    multiply_add: Mapping[str, str]
    barrier: str

    @property
    def dtypes(self) -> frozenset[str]:
        """All that the language computes with."""
        return frozenset(self.types)

    def type_name(self, dtype: str) -> str:
        """The language's name of a scalar type; bool is the language's own. Raises Unprintable."""
        if dtype not in self.types:
            raise unprintable(dtype, self.form)
        return self.types[dtype]

    def integer(self, value: int, dtype: str) -> str:
        """An integer literal."""
        if dtype == "int32":
            return str(value) if value >= 0 else f"({value})" if value > -(2**31) else self.cast(dtype, "0x80000000u")
        if dtype == "uint32":
            return f"{value}u"
        if dtype in ("int64", "uint64"):
            return self.cast(dtype, f"0x{value % 2**64:x}{self.wide_suffix}")
        return self.cast(dtype, str(value))

    def entry_point(self, name: str) -> str:
        """What the text calls a kernel that the artifact calls ``name``."""
        return name

    @abstractmethod
    def cast(self, dtype: str, value: str) -> str:
        """A conversion of a value."""

    @abstractmethod
    def bits(self, dtype: str, value: str, source: str) -> str:
        """The same bits as another type of the same width."""

    @abstractmethod
    def index(self, what: str, axis: int) -> str:
        """The index of the workgroup ("block") or of the invocation in it ("thread"), as an int32."""

    @abstractmethod
    def hidden_zero(self) -> str:
        """A uint32 that is 0 whenever a kernel runs, in a form that no compiler takes ``x * 0.0`` for 0 with."""

    @abstractmethod
    def text(self, kernel: Kernel) -> str:
        """The whole file."""


def float_bits(value: float) -> int:
    """The bits of the nearest float32."""
    with np.errstate(over="ignore"):
        return int(np.float32(value).view(np.uint32))


def f32_literal(value: float) -> str:
    """A finite float32 by its shortest digits that read back as it."""
    text = f"{value:.9g}"
    for digits in range(1, 9):
        shorter = f"{value:.{digits}g}"
        if float_bits(float(shorter)) == float_bits(value):
            text = shorter
            break
    return f"{text if any(c in text for c in '.e') else text + '.0'}f"
