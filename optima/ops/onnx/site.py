"""What a rule sees of the op that it emits: its types and attributes, the names of its operands, the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optima.graph import TensorType
from optima.ops.entry import OpView
from optima.ops.onnx.writer import Array, OnnxWriter
from optima.ops.promotion import is_float, wrapped


@dataclass(frozen=True)
class OpSite:
    """One op in the model that is being written. ``names`` maps roles to values, ``arrays`` to constant data."""

    view: OpView
    names: Mapping[str, str]
    arrays: Mapping[str, Array]
    writer: OnnxWriter

    @property
    def out(self) -> TensorType:
        """The type of the first output."""
        return self.view.outputs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first operand."""
        return self.view.first.shape

    @property
    def first(self) -> str:
        """The first operand."""
        return next(iter(self.names.values()))

    def attr(self, key: str, default: Any = None) -> Any:
        """An attribute, or ``default`` where neither the op nor its entry has it."""
        return self.view.attrs.get(key, default)

    def has(self, role: str) -> bool:
        """Whether the operand is there."""
        return role in self.names

    def members(self, role: str) -> list[str]:
        """The values of a list operand, in order."""
        return [name for r, name in self.names.items() if r.split(".")[0] == role]

    def value(self, role: str, dtype: str = "") -> str:
        """An operand, or the Python scalar among the attributes that stands for it, as ``dtype`` ("": as it is)."""
        if role not in self.names:
            value = self.view.attrs[role]
            return self.number(wrapped(value, dtype or self.out.dtype), dtype or self.out.dtype)
        have = self.view.operands[role].dtype
        return self.names[role] if dtype in ("", have) else self.writer.cast(self.names[role], dtype)

    def number(self, value: Any, dtype: str = "") -> str:
        """A scalar constant of ``dtype`` ("": the first output's)."""
        dtype = dtype or self.out.dtype
        return self.writer.constant(np.asarray(value).astype(_held(dtype)), dtype)

    def node(self, op_type: str, *inputs: str, **attrs: Any) -> str:
        """See ``OnnxWriter.node``."""
        return self.writer.node(op_type, *inputs, **attrs)

    def as_out(self, value: str) -> str:
        """``value`` in the first output's shape."""
        return self.writer.reshape(value, self.out.shape)

    def scaled(self, value: str, factor: Any) -> str:
        """``value`` times a number, in the first output's dtype."""
        return value if factor == 1 else self.node("Mul", value, self.number(factor))

    def shifted(self, value: str, addend: Any) -> str:
        """``value`` plus a number, in the first output's dtype."""
        return value if addend == 0 else self.node("Add", value, self.number(addend))

    def chain(self, value: str, *op_types: str) -> str:
        """Unary nodes one after the other."""
        for op_type in op_types:
            value = self.node(op_type, value)
        return value

    def extreme(self, op_type: str, a: str, b: str) -> str:
        """``Max`` or ``Min`` of two values in the first output's dtype, which know integers since version 12."""
        if self.writer.opset >= 12 or is_float(self.out.dtype):
            return self.node(op_type, a, b)
        first = self.node("Less", a, b)
        return self.where(first, b, a) if op_type == "Max" else self.where(first, a, b)

    def where(self, condition: str, a: str, b: str) -> str:
        """``a`` where the condition holds, else ``b``."""
        return self.node("Where", condition, a, b)


def _held(dtype: str) -> Any:
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


def dims(value: Any) -> list[int]:
    """An int, or a list of ints, as a list."""
    return [value] if isinstance(value, int) else list(value)


def positive(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front."""
    return [a % max(rank, 1) for a in axes]
