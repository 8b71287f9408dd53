"""Graph -> ModelProto: each op writes its nodes, values get their tensors' names, and the checker has a look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from devices import InternalError, UserError
from optima.graph import Graph, Op, Tensor
from optima.onnx_export.answers import answer
from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.site import OpSite
from optima.ops.onnx.writer import OnnxConstant, OnnxNode, OnnxWriter
from optima.ops.registry import entry_of
from optima.version import __version__
from torch2nx.errors import GraphError

#: the versions of the operator set that are written; the oldest is MYRIAD's, the newest SNPE's
OLDEST_OPSET, NEWEST_OPSET = 11, 22
#: a protobuf message holds no more
_MOST_BYTES = 2**31 - 2**20


class OnnxMissing(UserError):
    """A device that is compiled by way of ONNX, on a machine without the ``onnx`` package.

    Example: a map with ``"MYRIAD:0"`` where ``optima[onnx]`` is not installed.
    Fix: ``pip install '.[onnx]'`` in Optima's clone, or map those ops to ``X64``.
    """


def to_onnx(graph: Graph, opset: int = NEWEST_OPSET) -> bytes:
    """The graph as a checked ONNX model; inputs and outputs have their tensors' names, in order.

    The bytes depend on the graph and the version of ``onnx`` alone. Raises OnnxMissing, GraphError listing the
    ops that have no ONNX form, and UserError for more than 2 GiB of parameters.
    """
    onnx = _onnx()
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UserError(f"opset {opset} is not written", hint=f"use one from {OLDEST_OPSET} to {NEWEST_OPSET}")
    _refuse(graph, opset)
    writer = OnnxWriter(opset)
    named = _Names(graph, writer)
    for op in graph.ops:
        named.emit(op)
    named.finish()
    model = _model(onnx, graph, writer)
    if sum(c.array.nbytes for c in writer.constants.values()) > _MOST_BYTES:
        raise UserError("an ONNX model holds 2 GiB at most", hint="spread the ops over several devices or indices")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise InternalError(
            f"the ONNX form of {graph.name} is not valid: {error}", hint="please report it, with the graph's text form"
        ) from error
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.shape_inference
    except ImportError as error:
        raise OnnxMissing(
            "this device is compiled by way of ONNX, and the package onnx is not installed",
            hint="in Optima's clone: pip install '.[onnx]'",
        ) from error
    return onnx


def _refuse(graph: Graph, opset: int) -> None:
    problems = []
    for op in graph.ops:
        found = answer(graph, op, opset)
        if not found:
            problems.append(op.problem(found.reason))  # type: ignore[union-attr]
    if problems:
        raise GraphError(f"{len(problems)} operators cannot be written as ONNX of opset {opset}", problems=problems)


class _Names:
    """Which value of the model holds each tensor of the graph."""

    def __init__(self, graph: Graph, writer: OnnxWriter) -> None:
        self._graph, self._writer = graph, writer
        self._value = {name: name for name in graph.inputs}

    def of(self, tensor: Tensor) -> str:
        """The value that holds a tensor; a parameter is written when it is first read."""
        if tensor.name not in self._value:
            if tensor.value is None:
                raise InternalError(f"parameter {tensor.name!r} ({tensor.source}) has no value")
            self._value[tensor.name] = self._writer.parameter(tensor.name, tensor.value, tensor.dtype)
        return self._value[tensor.name]

    def emit(self, op: Op) -> None:
        """Write an op, and give its results their tensors' names."""
        graph, writer = self._graph, self._writer
        entry = entry_of(op.op)
        if entry is None or not isinstance(entry.onnx, Onnx):
            raise InternalError(f"{op.op} has no ONNX form")
        view = OpView.of(graph, op)
        operands = [graph.tensors[n] for n in op.inputs]
        names = {role: self.of(t) for role, t in zip(op.roles, operands, strict=True)}
        arrays = {r: t.value for r, t in zip(op.roles, operands, strict=True) if t.is_param and t.value is not None}
        writer.scope = op.name
        first = len(writer.nodes)
        view = OpView(view.op, view.operands, {**entry.attrs, **view.attrs}, view.outputs)
        made = entry.onnx.emit(OpSite(view, names, arrays, writer))
        values = [made] if isinstance(made, str) else made
        self._rename(op, values, writer.nodes[first:])

    def _rename(self, op: Op, values: Sequence[str], nodes: Sequence[OnnxNode]) -> None:
        fresh = {out for node in nodes for out in node.outputs}
        for tensor, value in zip(op.outputs, values, strict=True):
            if value not in fresh:  # a constant, or an operand as it is
                self._value[tensor] = self._writer.node("Identity", value)
                nodes = [*nodes, self._writer.nodes[-1]]
                value = self._value[tensor]
            for node in nodes:
                node.inputs[:] = [tensor if n == value else n for n in node.inputs]
                node.outputs[:] = [tensor if n == value else n for n in node.outputs]
            fresh.discard(value)
            self._value[tensor] = tensor

    def finish(self) -> None:
        """Outputs that no op makes: inputs and parameters that are passed through have a name that is taken."""
        for name in self._graph.outputs:
            if name not in self._graph.producer:
                raise GraphError(f"output {name!r} is an input or a parameter: nothing computes it")


def _model(onnx: Any, graph: Graph, writer: OnnxWriter) -> Any:
    helper = onnx.helper
    types = graph.tensors
    body = helper.make_graph(
        [_node(onnx, node) for node in writer.nodes],
        graph.name,
        [_value_info(onnx, types[n]) for n in graph.inputs],
        [_value_info(onnx, types[n]) for n in graph.outputs],
        [_initializer(onnx, name, constant) for name, constant in sorted(writer.constants.items())],
        value_info=[_value_info(onnx, types[n]) for op in graph.ops for n in op.outputs if n not in graph.outputs],
    )
    opsets = [helper.make_opsetid("", writer.opset)]
    return helper.make_model(
        body,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="optima",
        producer_version=__version__,
    )


def _node(onnx: Any, node: OnnxNode) -> Any:
    attrs = dict(node.attrs)
    if node.op_type == "Cast":
        attrs["to"] = _element_type(onnx, attrs["to"])
    return onnx.helper.make_node(node.op_type, node.inputs, node.outputs, name=node.name, **attrs)


def _element_type(onnx: Any, dtype: str) -> int:
    names = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16", "bfloat16": "BFLOAT16"}
    return int(getattr(onnx.TensorProto, names.get(dtype, dtype.upper())))


def _value_info(onnx: Any, tensor: Tensor) -> Any:
    return onnx.helper.make_tensor_value_info(tensor.name, _element_type(onnx, tensor.dtype), list(tensor.shape))


def _initializer(onnx: Any, name: str, constant: OnnxConstant) -> Any:
    data = np.ascontiguousarray(constant.array)
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    return onnx.helper.make_tensor(
        name, _element_type(onnx, constant.dtype), list(constant.array.shape), little.tobytes(), raw=True
    )
