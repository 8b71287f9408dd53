"""A simplified trace becomes the networkx graph: ops are converted, everything gets its number."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

import networkx as nx

from devices.errors import Problem
from torch2nx import schema, structure
from torch2nx.aten import CannotConvert, Draft, FollowsData, convert
from torch2nx.errors import ConvertError, UnsupportedOp
from torch2nx.extensions import extension_of
from torch2nx.trace import INPUT, Step, Trace, Value, values_in
from torch2nx.weights import array_of

_DISTRIBUTION: Final = "optima"


def build(trace: Trace, positional: list[str], optional: list[str]) -> nx.DiGraph:
    """The graph of a trace; ``positional`` names the positional arguments of the call,
    ``optional`` those that may be left out of a call.

    Raises UnsupportedOp listing every step that no op stands for.
    """
    drafts = _drafts(trace)
    graph = nx.DiGraph()
    writer = _Writer(graph)
    in_tree, arguments = structure.encode_inputs(trace, positional, optional)
    for value, argument in zip(trace.inputs, arguments, strict=True):
        value.name = argument
        writer.tensor(value)
    for step, draft in drafts:
        writer.op(step, draft)
    names = [writer.tensor(value) for value in values_in(trace.results)]
    outputs = names[: len(names) - len(trace.symbols)]
    graph.graph.update(
        format_version=schema.FORMAT_VERSION,
        inputs=[writer.names[v] for v in trace.inputs],
        outputs=outputs,
        in_tree=in_tree,
        out_tree=structure.encode_outputs(trace),
        symbols=_symbols(trace, writer.names),
        state=[],
        producer=_producer(),
    )
    own = {found.op: found.module for step, _ in drafts if (found := extension_of(step.target)) is not None}
    if own:
        graph.graph["extensions"] = own
    return graph


def _symbols(trace: Trace, names: dict[Value, str]) -> dict[str, dict[str, Any]]:
    """Sizes known only at run time: their range, the scalar that holds them, and the axes of outputs they stand for."""
    counts = trace.results[len(trace.results) - len(trace.symbols) :]
    return {
        f"n{i}": {
            "min": symbol.low,
            "max": symbol.high,
            "count": names[count],
            "axes": [list(p) for p in dict.fromkeys((names[trace.results[r]], axis) for r, axis in symbol.places)],
        }
        for i, (symbol, count) in enumerate(zip(trace.symbols, counts, strict=True))
    }


def _drafts(trace: Trace) -> list[tuple[Step, Draft]]:
    read = set(values_in(trace.results)).union(*(step.operands for step in trace.steps))
    drafts: list[tuple[Step, Draft]] = []
    problems: list[Problem] = []
    following: list[Problem] = []
    for step in trace.steps:
        try:
            drafts.append((step, convert(step, read.__contains__)))
        except FollowsData as reason:
            following.append(step.problem(str(reason)))
        except CannotConvert as reason:
            problems.append(step.problem(str(reason)))
    if any(isinstance(r, Value) and not r.is_tensor for r in trace.results):
        problems.append(Problem("the result", "it holds a number that depends on the data: return it as a tensor"))
    # What follows from an earlier step would only bury it.
    problems = list(dict.fromkeys(problems or following))
    if problems:
        raise UnsupportedOp(
            f"{len(problems)} operator(s) of the model cannot be converted",
            problems=problems,
            hint="write these lines with supported operators, add an operator (docs/adding_an_op.md), or keep that "
            "part of the model outside",
        )
    return drafts


def _producer() -> dict[str, str]:
    import torch

    try:
        version = metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = "unknown"
    return {"torch2nx": version, "torch": str(torch.__version__)}


class _Writer:
    """Adds nodes in number order."""

    def __init__(self, graph: nx.DiGraph) -> None:
        self._graph = graph
        self._next = 0
        self._folded = 0
        self.names: dict[Value, str] = {}

    def _number(self, stem: str) -> str:
        name = f"{stem}_{self._next}"
        self._next += 1
        return name

    def tensor(self, value: Value) -> str:
        """The node of a value, made at its first use."""
        if value in self.names:
            return self.names[value]
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in schema.DTYPES:
            raise ConvertError(
                f"{value.name or 'a tensor of the model'} has the dtype {dtype}",
                hint=f"Optima knows {', '.join(schema.DTYPES)}",
            )
        param = value.data is not None
        self.names[value] = name = self._number("paramtensor" if param else "tensor")
        data: dict[str, Any] = {
            "kind": schema.PARAM if param else schema.TENSOR,
            "shape": [int(d) for d in value.shape],
            "dtype": dtype,
            "argument": value.name if value.kind == INPUT else "",
            "layout": "",
        }
        if value.data is not None:
            data |= {"value": array_of(value.data), "source": value.name or self._constant()}
        self._graph.add_node(name, data=data)
        return name

    def _constant(self) -> str:
        self._folded += 1
        return f"constant_{self._folded - 1}"

    def op(self, step: Step, draft: Draft) -> None:
        """The node of an op, then its parameters at their first use, then its outputs."""
        name = self._number(draft.op)
        data: dict[str, Any] = {"kind": schema.OP, "op": draft.op, "attrs": draft.attrs}
        self._graph.add_node(name, data=data)
        data["inputs"] = [self.tensor(v) for v in draft.operands.values()]
        data["roles"] = list(draft.operands)
        data["outputs"] = [self.tensor(v) for v in draft.outputs]
        data["origin"] = dict(step.origin)
        self._graph.add_edges_from((tensor, name) for tensor in data["inputs"])
        self._graph.add_edges_from((name, tensor) for tensor in data["outputs"])
