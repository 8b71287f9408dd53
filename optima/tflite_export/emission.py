"""Graph -> nodes of a TFLite model: each op writes its own, the borders get their tensors' names and order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devices import InternalError, Problem, UserError
from optima.graph import Graph, Op
from optima.ops.entry import OpView, Tflite
from optima.ops.registry import entry_of
from optima.ops.tflite.layout import Array, Forms, Shape, plain, stored
from optima.ops.tflite.site import TfliteSite
from optima.ops.tflite.writer import TfliteNode, TfliteWriter
from optima.tflite_export.answers import answer
from optima.tflite_export.fuse import fuse_activations
from torch2nx.errors import GraphError


@dataclass(frozen=True)
class TfliteModel:
    """What is written: nodes in order, constants, shapes of all values, names of inputs and outputs.

    Inputs and outputs have the names of the graph's tensors, their shapes in PyTorch's order, and are float32.
    """

    name: str
    nodes: tuple[TfliteNode, ...]
    constants: dict[str, Array]
    shapes: dict[str, Shape]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def dump(self) -> str:
        """One line per node, for tests and for reading."""
        lines = [f"{', '.join(f'{n}{list(self.shapes[n])}' for n in self.inputs)} ->"]
        for node in self.nodes:
            reads = [n if n not in self.constants else f"const{list(self.shapes[n])}" for n in node.inputs]
            fused = node.options.get("fused_activation_function", "NONE")
            made = ", ".join(f"{n}{list(self.shapes[n])}" for n in node.outputs)
            lines.append(f"  {made} = {node.op}({', '.join(reads)}){'' if fused == 'NONE' else ' ' + fused}")
        return "\n".join([*lines, f"-> {', '.join(self.outputs)}"]) + "\n"


def emit(graph: Graph, device: str = "TPU") -> TfliteModel:
    """The graph as a float32 TFLite model. Raises GraphError listing the ops that cannot be written, and UserError
    for parameters that are not finite."""
    problems = [op.problem(found.reason) for op in graph.ops if not (found := answer(graph, op, device))]  # type: ignore[union-attr]
    if problems:
        raise GraphError(f"{len(problems)} operators cannot be written as TFLite", problems=problems)
    emission = _Emission(graph)
    for op in graph.ops:
        emission.op(op)
    return emission.model()


class _Emission:
    """The values that hold each tensor of the graph so far."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._writer = graph, TfliteWriter()
        self._tensors: dict[str, Forms] = {}
        for name in graph.inputs:
            shape = graph.type_of(name).shape
            self._writer.shapes[name] = shape
            self._tensors[name] = Forms(shape, {plain(len(shape)): name})

    def op(self, op: Op) -> None:
        """Write one op; its results are known by the graph's names from then on."""
        graph, entry = self._graph, entry_of(op.op)
        if entry is None or not isinstance(entry.tflite, Tflite):
            raise InternalError(f"{op.op} has no TFLite form")
        view = OpView.of(graph, op)
        view = OpView(view.op, view.operands, {**entry.attrs, **view.attrs}, view.outputs)
        operands = {role: self._operand(name) for role, name in zip(op.roles, op.inputs, strict=True)}
        self._writer.scope = op.name
        made = entry.tflite.emit(TfliteSite(view, operands, self._writer))
        results = made if isinstance(made, list) else [made]
        for name, laid in zip(op.outputs, results, strict=True):
            shape = graph.type_of(name).shape
            if self._writer.shapes[laid.value] != stored(shape, laid.order):
                raise InternalError(f"{op.name} ({op.op}) was written with {self._writer.shapes[laid.value]}")
            self._tensors[name] = Forms(shape, {laid.order: laid.value})

    def _operand(self, name: str) -> Forms:
        tensor = self._graph.tensors[name]
        if name not in self._tensors:
            if tensor.value is None:
                raise InternalError(f"parameter {name!r} ({tensor.source}) has no value")
            self._tensors[name] = Forms(tensor.shape, {}, np.asarray(tensor.value))
        return self._tensors[name]

    def model(self) -> TfliteModel:
        """The nodes that an output needs, outputs in PyTorch's order under their own names."""
        writer, graph = self._writer, self._graph
        names: dict[str, str] = {}
        values: list[tuple[str, str]] = []
        for name in graph.outputs:
            writer.scope = name
            value = writer.lay(self._tensors[name], plain(len(graph.type_of(name).shape)))
            values.append((name, value))
        read = {n for node in writer.nodes for n in node.inputs}
        for name, value in values:
            # The quantiser leaves float what reads an output, and an output is made, once.
            if value in names or value in read or writer.producer(value) is None:
                writer.scope = name
                value = writer.copy(value, writer.shapes[value])
            names[value] = name
        nodes = fuse_activations(writer, set(names))
        nodes = _needed(nodes, set(names))
        for node in nodes:
            node.inputs[:] = [names.get(n, n) for n in node.inputs]
            node.outputs[:] = [names.get(n, n) for n in node.outputs]
        shapes = {names.get(n, n): shape for n, shape in writer.shapes.items()}
        read = {n for node in nodes for n in node.inputs}
        constants = {n: a for n, a in writer.constants.items() if n in read}
        _refuse_infinite(constants)
        return TfliteModel(graph.name, tuple(nodes), constants, shapes, graph.inputs, graph.outputs)


def _refuse_infinite(constants: dict[str, Array]) -> None:
    problems = [
        Problem(name.partition("/")[0], "a parameter holds values that are not finite")
        for name, array in constants.items()
        if not np.isfinite(array).all()
    ]
    if problems:
        raise UserError("parameters must be finite to be quantised", problems=problems, hint="map these ops elsewhere")


def _needed(nodes: list[TfliteNode], outputs: set[str]) -> list[TfliteNode]:
    """The nodes without those that nothing reads."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]
