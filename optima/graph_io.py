"""From the networkx graph, or the file that holds it, to the typed ``Graph``."""

from __future__ import annotations

import os
import re
from typing import Any

import networkx as nx

from optima.graph import Graph, Op, Origin, Symbol, Tensor, TensorType
from optima.ops.registry import entry_of
from torch2nx import gpickle, schema
from torch2nx.errors import GraphError


class UnknownOp(GraphError):
    """A graph with operators of the user's own that are not registered in this process.

    Example: ``optimize(...)`` of a ``.gpickle`` with a ``snake`` in a program that does not import ``my_ops``.
    Fix: import the module that the hint names before the graph is read.
    """


def load_graph(graph: str | os.PathLike[str] | nx.DiGraph, name: str = "model") -> Graph:
    """The verified ``Graph`` called ``name``, from a ``.gpickle`` or from what ``pickle.load`` gave for one.

    Raises UnknownOp for operators of the user's own that are not registered here, and UnsafePickle or GraphError,
    with every problem found: a file that is no graph, a node that breaks the contract (see torch2nx.schema), an
    operator or attribute that Optima does not know, an output whose type is not the one that its op gives.
    """
    if isinstance(graph, nx.DiGraph):
        schema.validate(graph)
    elif isinstance(graph, str | os.PathLike):
        graph = gpickle.read(graph)
    else:
        raise GraphError(
            f"a {type(graph).__name__} is not a model graph",
            hint="pass the path of a .gpickle, or the networkx.DiGraph that convert() gave",
        )
    data: dict[str, dict[str, Any]] = dict(graph.nodes(data="data"))
    _check_own(graph, data)
    ops = [_op(node, data[node]) for node in _ordered_ops(graph)]
    tensors = {n: _tensor(n, d) for n, d in data.items() if d["kind"] != schema.OP}
    inputs, outputs = tuple(graph.graph["inputs"]), tuple(graph.graph["outputs"])
    trees = graph.graph["in_tree"], graph.graph["out_tree"]
    typed = Graph(name, tuple(ops), tensors, inputs, outputs, *trees, _symbols(graph.graph["symbols"]))
    # rebuild() puts the tensor table in order of use, whatever the order of the nodes in the file.
    return typed.rebuild(ops).verify(types=True)


def _check_own(graph: nx.DiGraph, data: dict[str, dict[str, Any]]) -> None:
    homes: dict[str, str] = graph.graph.get("extensions", {})
    missing = [_op(n, d) for n, d in data.items() if d["kind"] == schema.OP and d["op"] in homes]
    missing = [op for op in missing if entry_of(op.op) is None]
    if missing:
        modules = sorted({homes[op.op] for op in missing})
        imports = [f"import {module}" for module in modules if module != "__main__"]
        scripts = ["run the code that registers them (it was a script or a notebook)"] if "__main__" in modules else []
        raise UnknownOp(
            f"the graph has {len(missing)} operator(s) that are registered from outside Optima, and not here",
            problems=[op.problem(f"{op.op} was registered by {homes[op.op]}") for op in missing],
            hint=" and ".join([*imports, *scripts]) + " before reading the graph",
        )


def _symbols(table: dict[str, dict[str, Any]]) -> tuple[Symbol, ...]:
    return tuple(
        Symbol(name, s["min"], s["max"], s["count"], tuple((tensor, axis) for tensor, axis in s["axes"]))
        for name, s in table.items()
    )


def _number(name: str) -> int:
    match = re.search(r"_(\d+)$", name)
    return int(match.group(1)) if match else -1


def _ordered_ops(graph: nx.DiGraph) -> list[str]:
    """Ops in topological order, the lowest number first wherever several may come next."""
    order = nx.lexicographical_topological_sort(graph, key=lambda n: (_number(n), n))
    return [n for n in order if graph.nodes[n]["data"]["kind"] == schema.OP]


def _op(name: str, data: dict[str, Any]) -> Op:
    return Op(
        name,
        data["op"],
        tuple(data["inputs"]),
        tuple(data["roles"]),
        tuple(data["outputs"]),
        {key: _frozen(value) for key, value in data["attrs"].items()},
        (Origin(**data["origin"]),),
    )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _tensor(name: str, data: dict[str, Any]) -> Tensor:
    return Tensor(
        name,
        TensorType(tuple(data["shape"]), data["dtype"]),
        is_param=data["kind"] == schema.PARAM,
        value=data.get("value"),
        source=data.get("source", ""),
        argument=data["argument"],
        layout=data["layout"],
    )
