"""Collects the nodes and constants of a TFLite model. Plain data: no package is needed here.

Operators and their options are those of the TFLite schema,
https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices import InternalError
from optima.ops.tflite.layout import Array, Forms, Order, Shape, merged, moves_data, plain, steps, stored

#: what TRANSPOSE takes in its oldest version
_FEW_AXES = 4


@dataclass
class TfliteNode:
    """One operator: its name in the schema, its operands ("" for one that is absent), its options by field name."""

    op: str
    inputs: list[str]
    outputs: list[str]
    options: dict[str, Any]


@dataclass
class TfliteWriter:
    """Nodes in order; shapes of all values; constants by name. ``scope`` is what the names of new values begin with.

    Activations are float32; constants are float32 data, or int32 for what an operator reads as numbers.
    """

    scope: str = ""
    nodes: list[TfliteNode] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    _made_by: dict[str, TfliteNode] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def node(self, op: str, inputs: Sequence[str], shape: Sequence[int], **options: Any) -> str:
        """Append an operator with one output of this shape; gives the output's name."""
        return self.node_outputs(op, inputs, [shape], **options)[0]

    def node_outputs(
        self, op: str, inputs: Sequence[str], shapes: Sequence[Sequence[int]], **options: Any
    ) -> list[str]:
        """As ``node``, with several outputs."""
        stem = self._fresh(op)
        names = [stem if len(shapes) == 1 else f"{stem}.{k}" for k in range(len(shapes))]
        made = TfliteNode(op, list(inputs), names, options)
        self.nodes.append(made)
        for name, shape in zip(names, shapes, strict=True):
            self.shapes[name] = tuple(int(n) for n in shape)
            self._made_by[name] = made
        return list(names)

    def producer(self, value: str) -> TfliteNode | None:
        """The operator that makes a value, None for an input or a constant."""
        return self._made_by.get(value)

    def data(self, array: Any) -> str:
        """A float32 constant. Each has a name of its own: what quantises the model keeps one scale per name."""
        name = self._fresh("constant")
        self.constants[name] = np.ascontiguousarray(array, dtype=np.float32)
        self.shapes[name] = self.constants[name].shape
        return name

    def integers(self, values: Any) -> str:
        """An int32 constant: shapes, axes, amounts. Equal ones are shared."""
        array = np.ascontiguousarray(values, dtype=np.int32)
        name = f"integers_{'x'.join(map(str, array.shape))}_{'_'.join(map(str, array.reshape(-1)))}"
        self.constants[name] = array
        self.shapes[name] = array.shape
        return name

    def _fresh(self, stem: str) -> str:
        stem = f"{self.scope}/{stem}" if self.scope else stem
        number = self._numbers.get(stem, 0)
        self._numbers[stem] = number + 1
        return f"{stem}_{number}"

    def lay(self, tensor: Forms, order: Order) -> str:
        """The tensor in this order, moved if it has to be, once however often it is read."""
        if order not in tensor.by_order:
            tensor.by_order[order] = self._moved(tensor, order)
        return tensor.by_order[order]

    def _moved(self, tensor: Forms, order: Order) -> str:
        if tensor.array is not None:
            return self.data(tensor.array.transpose(order))
        made = tensor.made
        if not made.value:
            raise InternalError("a tensor is read before it is made")
        return self.transpose(made.value, steps(made.order, order))

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """``value`` in another shape; a reshape of a reshape reads the first one's operand."""
        shape = tuple(shape)
        if self.shapes[value] == shape:
            return value
        maker = self.producer(value)
        if maker is not None and maker.op == "RESHAPE":
            return self.reshape(maker.inputs[0], shape)
        return self.copy(value, shape)

    def copy(self, value: str, shape: Sequence[int]) -> str:
        """A reshape that stays, whatever the shapes are: another name for the same elements."""
        return self.node("RESHAPE", [value, self.integers(list(shape))], shape, new_shape=[int(n) for n in shape])

    def transpose(self, value: str, axes: Sequence[int]) -> str:
        """Axis k of the result is axis ``axes[k]`` of the value. Of more than four axes neighbours are merged."""
        shape = self.shapes[value]
        target = stored(shape, tuple(axes))
        if not moves_data(shape, plain(len(shape)), tuple(axes)):
            return self.reshape(value, target)
        if len(shape) <= _FEW_AXES:
            return self.node("TRANSPOSE", [value, self.integers(list(axes))], target)
        extents, order = merged(shape, axes)
        turned = self.node(
            "TRANSPOSE", [self.reshape(value, extents), self.integers(order)], [extents[a] for a in order]
        )
        return self.reshape(turned, target)

    def slice(self, value: str, begin: Sequence[int], size: Sequence[int]) -> str:
        """``size`` elements per axis from ``begin``."""
        if tuple(size) == self.shapes[value]:
            return value
        return self.node("SLICE", [value, self.integers(list(begin)), self.integers(list(size))], size)

    def part(self, value: str, axis: int, start: int, length: int) -> str:
        """``length`` elements of one axis from ``start``."""
        begin = [0] * len(self.shapes[value])
        size = list(self.shapes[value])
        begin[axis], size[axis] = start, length
        return self.slice(value, begin, size)

    def concat(self, values: Sequence[str], axis: int) -> str:
        """The values one after the other along an axis."""
        if len(values) == 1:
            return values[0]
        shape = list(self.shapes[values[0]])
        shape[axis] = sum(self.shapes[v][axis] for v in values)
        return self.node("CONCATENATION", values, shape, axis=axis, fused_activation_function="NONE")

    def pad(self, value: str, amounts: Sequence[tuple[int, int]]) -> str:
        """``value`` with zeros before and after each axis."""
        if not any(b or a for b, a in amounts):
            return value
        shape = [n + b + a for n, (b, a) in zip(self.shapes[value], amounts, strict=True)]
        return self.node("PAD", [value, self.integers([list(pair) for pair in amounts])], shape)

    def binary(self, op: str, a: str, b: str, activation: str = "NONE") -> str:
        """ADD, SUB, MUL, DIV, MAXIMUM or SQUARED_DIFFERENCE of two values that broadcast."""
        shape = np.broadcast_shapes(self.shapes[a], self.shapes[b])
        if op == "MAXIMUM":
            # Both operands get one scale, which the quantiser writes with one rank for both.
            a, b = self._of_rank(a, len(shape)), self._of_rank(b, len(shape))
        options = {} if op in ("MAXIMUM", "SQUARED_DIFFERENCE") else {"fused_activation_function": activation}
        return self.node(op, [a, b], shape, **options)

    def _of_rank(self, value: str, rank: int) -> str:
        """A constant with axes of one element in front; what is computed has its axes."""
        missing = rank - len(self.shapes[value])
        if value not in self.constants or missing == 0:
            return value
        return self.data(self.constants[value].reshape([1] * missing + list(self.shapes[value])))

    def unary(self, op: str, value: str, **options: Any) -> str:
        """An operator whose output has its operand's shape."""
        return self.node(op, [value], self.shapes[value], **options)

    def scalar(self, value: float) -> str:
        """A constant of one element."""
        return self.data(np.full((1,), value))

    def scaled(self, value: str, factor: float) -> str:
        """``value`` times a number."""
        return value if factor == 1 else self.binary("MUL", value, self.scalar(factor))

    def shifted(self, value: str, addend: float) -> str:
        """``value`` plus a number."""
        return value if addend == 0 else self.binary("ADD", value, self.scalar(addend))

    def at_most(self, value: str, bound: str) -> str:
        """``value - relu(value - bound)``: what lies below the bound stays as it is, in int8, too."""
        above = self.unary("RELU", self.binary("SUB", value, bound))
        return self.binary("SUB", value, above)

    def reduce(self, op: str, value: str, axes: Sequence[int], keepdims: bool) -> str:
        """MEAN, SUM or REDUCE_MIN over axes."""
        source = self.shapes[value]
        gone = set(axes)
        shape = [1 if k in gone else n for k, n in enumerate(source) if keepdims or k not in gone]
        return self.node(op, [value, self.integers(sorted(gone))], shape, keep_dims=keepdims)
