"""Integer keys that stand in the order torch sorts by, and the rows that are sorted by them.

Ascending order puts NaN last and holds all NaN, and the two zeros, for equal; a descending key is the complement
of the ascending one, so that NaN comes first. Comparing integers leaves no rule of NaN to go wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optima.ops.entry import OpView
from optima.ops.exact_math import let
from optima.ops.indices import axis, dense_index
from optima.ops.te_control import Frame, framed, number
from optima.ops.te_loops import Buffer, Stmt, each, read, sequential, store
from optima.ops.te_reduce import Expr, widen

if TYPE_CHECKING:
    from tvm import te

#: scalar operations from which rows are spread over the worker pool: waking it costs microseconds
_PARALLEL_OPERATIONS = 32_768
_LARGEST = {"int32": 2**31 - 1, "int64": 2**63 - 1}
#: the bits of infinity, above which a magnitude is NaN
_INFINITY = {"int32": 0x7F80_0000, "int64": 0x7FF0_0000_0000_0000}


def key_dtype(dtype: str) -> str:
    """The dtype of keys for values of ``dtype``."""
    return "int64" if dtype in ("int64", "float64") else "int32"


def order_key(value: Expr, dtype: str, *, descending: bool = False) -> Expr:
    """The key of a loaded ``value`` of ``dtype``: ``a`` sorts before ``b`` iff its key is smaller."""
    from tvm import tirx

    if dtype in ("float32", "float16", "bfloat16"):
        key = let(tirx.reinterpret("int32", widen(value, dtype)), lambda b: _float_key(b, "int32"), "bits")
    elif dtype == "float64":
        key = let(tirx.reinterpret("int64", value), lambda b: _float_key(b, "int64"), "bits")
    else:
        key = value.astype(key_dtype(dtype))
    return tirx.bitwise_not(key) if descending else key


def nan_key(dtype: str) -> Expr:
    """The ascending key of every NaN of a float ``dtype``."""
    key = key_dtype(dtype)
    return number(_LARGEST[key], key)


def _float_key(bits: Expr, dtype: str) -> Expr:
    """Sign and magnitude as a signed integer: -0 becomes 0; every NaN becomes the largest integer."""
    from tvm import tirx

    largest, infinity = _LARGEST[dtype], _INFINITY[dtype]

    def signed(magnitude: Expr) -> Expr:
        number_key = tirx.Select(bits < number(0, dtype), number(0, dtype) - magnitude, magnitude)
        return tirx.Select(magnitude > number(infinity, dtype), number(largest, dtype), number_key)

    return let(tirx.bitwise_and(bits, number(largest, dtype)), signed, "magnitude")


@dataclass(frozen=True)
class Rows:
    """A tensor of ``shape`` as rows along ``dim`` (None: one row of everything), all others counted through."""

    shape: tuple[int, ...]
    dim: int | None

    @classmethod
    def of(cls, view: OpView, default: int | None = -1) -> Rows:
        """The rows that an op with a ``dim`` attribute works on; ``default`` is what its absence means."""
        dim = view.attrs.get("dim", default)
        shape = view.first.shape
        return cls(shape, None if dim is None or not shape else axis(dim, len(shape)))

    @property
    def length(self) -> int:
        """Elements of a row; a 0-d tensor is one row of one element."""
        return math.prod(self.shape) if self.dim is None else self.shape[self.dim]

    @property
    def lead(self) -> tuple[int, ...]:
        """The extents that are counted through."""
        return () if self.dim is None else (*self.shape[: self.dim], *self.shape[self.dim + 1 :])

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.lead)

    def index(self, row: Expr, place: Expr) -> list[Expr]:
        """Where element ``place`` of ``row`` lies; also in a tensor whose ``dim`` has another extent."""
        if self.dim is None:
            return dense_index(self.shape, (self.length,), [place])
        lead = dense_index(self.lead, (self.count,), [row])
        return [*lead[: self.dim], place, *lead[self.dim :]]

    def folded(self, row: Expr, *, keepdim: bool) -> list[Expr]:
        """Where the one result of ``row`` lies."""
        if self.dim is None:
            return [0] * len(self.shape) if keepdim else []
        index = self.index(row, 0)
        return index if keepdim else [*index[: self.dim], *index[self.dim + 1 :]]


def over_rows(
    name: str,
    rows: Rows,
    inputs: Sequence[te.Tensor],
    outputs: Sequence[tuple[tuple[int, ...], str]],
    body: Callable[[Frame, Expr, Sequence[Buffer], Sequence[Buffer]], Stmt],
    *,
    work: int,
) -> list[te.Tensor]:
    """``body(frame, row, inputs, outputs)`` for every row, on the worker pool where ``work`` is worth it."""

    def whole(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        kind = "parallel" if rows.count > 1 and work >= _PARALLEL_OPERATIONS else "serial"
        return each(rows.count, lambda row: framed(ins, outs, lambda frame: body(frame, row, ins, outs)), kind, "row")

    return sequential(name, inputs, outputs, whole)


@dataclass(frozen=True)
class Items:
    """What is sorted: ``keys[at]`` and the ``places`` they came from, at an index with one blank for the position."""

    keys: Buffer
    places: Buffer
    prefix: tuple[Expr, ...]

    def key(self, position: Expr) -> Expr:
        """The key at a position."""
        return read(self.keys, *self.prefix, position)

    def place(self, position: Expr) -> Expr:
        """Where in its row the item at a position came from."""
        return read(self.places, *self.prefix, position)

    def put(self, position: Expr, key: Expr, place: Expr) -> list[Stmt]:
        """Overwrite the item at a position."""
        return [
            store(self.keys, (*self.prefix, position), key),
            store(self.places, (*self.prefix, position), place),
        ]

    def move(self, target: Expr, source: Expr) -> list[Stmt]:
        """Copy the item at ``source`` over that at ``target``."""
        return self.put(target, self.key(source), self.place(source))
