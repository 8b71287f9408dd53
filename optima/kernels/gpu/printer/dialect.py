"""What differs between the languages that kernels are printed in; expressions and statements are the same in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


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
    """What a dialect puts around a body: the kernel's interface, and the functions that it calls.

    ``functions``: their texts (``printer.functions``), which speak of ``BITS``, ``FLOAT``, ``INT``, ``UINT``, ``REAL``
    and ``ABS``; "" for none. ``dtypes``: all that occur.
    """

    arguments: Sequence[Argument]
    shared: Sequence[Shared]
    threads: tuple[int, int, int]
    functions: str
    body: str
    dtypes: frozenset[str]


class Dialect(Protocol):
    """One language. ``entry_point`` is what its kernels are called; ``barrier`` the statement of one."""

    entry_point: str
    barrier: str

    def type_name(self, dtype: str) -> str:
        """The language's name of a scalar type; bool is the language's own."""

    def cast(self, dtype: str, value: str) -> str:
        """A conversion of a value."""

    def bits(self, dtype: str, value: str, source: str) -> str:
        """The same bits as another type of the same width."""

    def integer(self, value: int, dtype: str) -> str:
        """An integer literal."""

    def local(self, dtype: str) -> str:
        """How a variable of the type is declared, before its name."""

    def index(self, what: str, axis: int) -> str:
        """The index of the workgroup ("block") or of the invocation in it ("thread"), as an int32."""

    def native(self, name: str) -> str:
        """The language's own name of one of ``functions.NATIVE``, given by C's."""

    def multiply_add(self, a: str, b: str, c: str) -> str:
        """``a * b + c`` of float32, fused where the device does so at no cost."""

    def hidden_zero(self) -> str:
        """A uint32 that is 0 whenever a kernel runs, and that no compiler can know to be."""

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
