"""Collects the nodes and constants of an ONNX model. Plain data: the ``onnx`` package is not needed here.

Operator versions are those of the ONNX specification, https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optima.graph import numpy_dtype

Array = np.ndarray[Any, Any]


@dataclass
class OnnxNode:
    """One node; an output's name may be changed until the model is written."""

    op_type: str
    inputs: list[str]
    outputs: list[str]
    attrs: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class OnnxConstant:
    """An initializer; bfloat16 data is held as uint16 bits."""

    array: Array
    dtype: str


@dataclass
class OnnxWriter:
    """Nodes in order, and constants by name. ``scope`` is what the names of new values begin with."""

    opset: int
    scope: str = ""
    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, OnnxConstant] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def node(self, op_type: str, *inputs: str, **attrs: Any) -> str:
        """Append a node with one output; gives its name. An absent optional input is ""; attributes that are
        None are left out."""
        return self.nodes_outputs(op_type, inputs, 1, **attrs)[0]

    def nodes_outputs(self, op_type: str, inputs: Sequence[str], outputs: int, **attrs: Any) -> list[str]:
        """As ``node``, with several outputs."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        name = self._fresh(op_type)
        made = [name if outputs == 1 else f"{name}.{k}" for k in range(outputs)]
        plain = {key: value for key, value in attrs.items() if value is not None}
        self.nodes.append(OnnxNode(op_type, given, made, plain, name))
        return list(made)

    def constant(self, value: Any, dtype: str) -> str:
        """The name of an initializer with this content; equal contents share one."""
        array = np.asarray(value, dtype=None if dtype == "bfloat16" else numpy_dtype(dtype))
        head = f"{dtype}{array.shape}".encode()
        name = "const_" + hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
        self.constants[name] = OnnxConstant(array, dtype)
        return name

    def integers(self, values: Sequence[int]) -> str:
        """A 1-D int64 constant: shapes, axes, sizes."""
        return self.constant(np.asarray(list(values), dtype=np.int64), "int64")

    def parameter(self, name: str, array: Array, dtype: str) -> str:
        """An initializer of the given name."""
        self.constants[name] = OnnxConstant(array, dtype)
        return name

    def _fresh(self, op_type: str) -> str:
        stem = f"{self.scope}/{op_type}" if self.scope else op_type
        number = self._numbers.get(stem, 0)
        self._numbers[stem] = number + 1
        return f"{stem}_{number}"

    # ---- forms that differ between versions of the operator set

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """``value`` in a static shape without extents of 0."""
        return self.node("Reshape", value, self.integers(shape))

    def expand(self, value: str, shape: Sequence[int]) -> str:
        """``value`` broadcast to a shape. OpenVINO makes ``[1]`` of an Expand to no axes."""
        return self.node("Expand", value, self.integers(shape)) if shape else self.node("Identity", value)

    def transpose(self, value: str, order: Sequence[int]) -> str:
        """Axis k of the result is axis ``order[k]`` of the value."""
        return value if list(order) == list(range(len(order))) else self.node("Transpose", value, perm=list(order))

    def reduce(self, kind: str, value: str, axes: Sequence[int], *, keepdims: bool) -> str:
        """``ReduceSum`` and its like: the axes became an input with version 13 of the sum, 18 of the others."""
        since = 13 if kind == "ReduceSum" else 18
        if self.opset >= since:
            return self.node(kind, value, self.integers(axes), keepdims=int(keepdims))
        return self.node(kind, value, axes=list(axes), keepdims=int(keepdims))

    def slice(self, value: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """Elements ``start`` to before ``end`` of an axis."""
        places = [self.integers([n]) for n in (start, end, axis, step)]
        return self.node("Slice", value, *places)

    def split(self, value: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Consecutive parts of an axis."""
        if len(sizes) == 1:
            return [self.node("Identity", value)]
        if self.opset >= 13:
            return self.nodes_outputs("Split", [value, self.integers(sizes)], len(sizes), axis=axis)
        return self.nodes_outputs("Split", [value], len(sizes), axis=axis, split=list(sizes))

    def concat(self, values: Sequence[str], axis: int) -> str:
        """The values one after the other along an axis."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=axis)

    def cast(self, value: str, dtype: str) -> str:
        """``value`` as another dtype; the model's writer turns the name into ONNX's number."""
        return self.node("Cast", value, to=dtype)
