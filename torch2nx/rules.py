"""The rules of the node contract (see torch2nx.schema), each yielding the problems that it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import networkx as nx
import numpy as np

from devices.errors import Problem
from torch2nx.schema import DTYPES, NHWC, OP, ORIGIN_KEYS, PARAM, TENSOR

_OP_KEYS: Final[dict[str, type]] = {
    "op": str, "attrs": dict, "inputs": list, "roles": list, "outputs": list, "origin": dict,
}  # fmt: skip
_TENSOR_KEYS: Final[dict[str, type]] = {"shape": list, "dtype": str, "argument": str, "layout": str}

#: lists in attributes may be nested this deep
_MAX_DEPTH: Final = 8


def key_problems(subject: str, data: dict[str, Any], keys: dict[str, type]) -> Iterator[Problem]:
    """Missing keys and keys whose value has another type."""
    for key, expected in keys.items():
        if key not in data:
            yield Problem(subject, f"the key {key!r} is missing")
        elif type(data[key]) is not expected:
            yield Problem(subject, f"{key!r} is a {type(data[key]).__name__}, not a {expected.__name__}")


def node_problems(name: Any, attributes: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with one node by itself."""
    subject = str(name)
    data = attributes.get("data")
    if type(name) is not str:
        yield Problem(subject, f"a node's name is text, not {type(name).__name__}")
        return
    if type(data) is not dict:
        yield Problem(subject, "the node has no attribute 'data' that is a dict")
        return
    if set(attributes) != {"data"}:
        yield Problem(subject, f"unknown node attributes {sorted(set(map(str, attributes)) - {'data'})}")
    kind = data.get("kind")
    if kind == OP:
        yield from _op_problems(subject, data)
    elif kind in (TENSOR, PARAM):
        yield from _tensor_problems(subject, data)
    else:
        yield Problem(subject, f"kind is {kind!r}, not {OP}, {TENSOR} or {PARAM}")


def _op_problems(name: str, data: dict[str, Any]) -> Iterator[Problem]:
    found = [*key_problems(name, data, _OP_KEYS)]
    yield from found
    if found:
        return
    for key in ("inputs", "roles", "outputs"):
        if not all(type(item) is str for item in data[key]):
            yield Problem(name, f"{key!r} holds something that is not text")
    if len(data["roles"]) != len(data["inputs"]):
        yield Problem(name, f"{len(data['inputs'])} inputs but {len(data['roles'])} roles")
    if len(set(map(repr, data["roles"]))) != len(data["roles"]):
        yield Problem(name, f"a role occurs twice in {data['roles']}")
    if not data["outputs"]:
        yield Problem(name, "it has no outputs")
    for key, value in data["attrs"].items():
        if type(key) is not str or not _is_plain(value, _MAX_DEPTH):
            yield Problem(name, f"attribute {key!r} holds a {type(value).__name__}: only builtin values may be kept")
    origin = data["origin"]
    if set(origin) != set(ORIGIN_KEYS) or not all(
        type(origin[k]) is (int if k == "line" else str) for k in ORIGIN_KEYS
    ):
        yield Problem(name, f"'origin' must hold exactly {', '.join(ORIGIN_KEYS)}: line an int, the rest text")


def _is_plain(value: Any, depth: int) -> bool:
    if value is None or type(value) in (bool, int, float, str):
        return True
    return type(value) is list and depth > 0 and all(_is_plain(v, depth - 1) for v in value)


def _tensor_problems(name: str, data: dict[str, Any]) -> Iterator[Problem]:
    found = [*key_problems(name, data, _TENSOR_KEYS)]
    yield from found
    if found:
        return
    if not all(type(d) is int and d >= 0 for d in data["shape"]):
        yield Problem(name, f"shape {data['shape']} holds something that is not an int of at least 0")
        return
    if data["dtype"] not in DTYPES:
        yield Problem(name, f"dtype {data['dtype']!r} is not one of {', '.join(DTYPES)}")
        return
    if data["layout"] not in ("", NHWC):
        yield Problem(name, f"layout {data['layout']!r} is neither '' nor {NHWC!r}")
    elif data["layout"] and len(data["shape"]) != 4:
        yield Problem(name, f"layout {NHWC} on a tensor of {len(data['shape'])} dimensions")
    if data["kind"] == PARAM:
        yield from _value_problems(name, data)


def _value_problems(name: str, data: dict[str, Any]) -> Iterator[Problem]:
    value = data.get("value")
    if type(data.get("source")) is not str:
        yield Problem(name, "a parameter needs its PyTorch name as 'source'")
    if type(value) is not np.ndarray:
        yield Problem(name, "a parameter needs a numpy array as 'value'")
        return
    if value.dtype != np.dtype(DTYPES[data["dtype"]]):
        yield Problem(
            name,
            f"the value's dtype is {value.dtype}, but {data['dtype']} is stored as {DTYPES[data['dtype']]}",
        )
    if list(value.shape) != data["shape"]:
        yield Problem(name, f"the value has shape {list(value.shape)}, the node says {data['shape']}")


def reference_problems(graph: nx.DiGraph, nodes: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """What is wrong between nodes; ``nodes`` holds the data of those that are sound by themselves."""
    ops = {n: d for n, d in nodes.items() if d["kind"] == OP}
    producer: dict[str, str] = {}
    expected: dict[tuple[str, str], None] = {}
    for name, op in ops.items():
        for key in ("inputs", "outputs"):
            for tensor in op[key]:
                if tensor not in graph:
                    yield Problem(name, f"its {key} name {tensor!r}, which is no node")
                elif nodes.get(tensor, {"kind": TENSOR})["kind"] == OP:
                    yield Problem(name, f"its {key} name {tensor!r}, which is an op and not a tensor")
                expected[(tensor, name) if key == "inputs" else (name, tensor)] = None
        for tensor in op["outputs"]:
            if tensor in producer:
                yield Problem(tensor, f"it is produced twice: by {producer[tensor]} and by {name}")
            producer.setdefault(tensor, name)
    yield from _edge_problems(graph, nodes, expected)
    yield from _role_problems(graph, nodes, producer, {a for a, _ in expected})
    yield from _cycle_problems(graph)


def _edge_problems(
    graph: nx.DiGraph, nodes: dict[str, dict[str, Any]], expected: dict[tuple[str, str], None]
) -> Iterator[Problem]:
    for source, target in expected:
        if source in graph and target in graph and not graph.has_edge(source, target):
            yield Problem(f"{source} -> {target}", "an operand list names this edge, but it is missing")
    for source, target in graph.edges:
        if (source, target) not in expected and source in nodes and target in nodes:
            yield Problem(f"{source} -> {target}", "no operand list names this edge")


def _role_problems(
    graph: nx.DiGraph, nodes: dict[str, dict[str, Any]], producer: dict[str, str], used: set[str]
) -> Iterator[Problem]:
    """Whether inputs, parameters and intermediate tensors are each where they may be."""
    inputs = {n for n in graph.graph.get("inputs", ()) if isinstance(n, str)}
    outputs = {n for n in graph.graph.get("outputs", ()) if isinstance(n, str)}
    for name, data in nodes.items():
        kind, made = data["kind"], producer.get(name)
        if kind == OP:
            if name in inputs or name in outputs:
                yield Problem(name, "an op stands among the graph's inputs or outputs: they are tensors")
        elif kind == PARAM:
            if made or name in inputs:
                yield Problem(name, f"a parameter cannot be {'the result of ' + made if made else 'an input'}")
            if name not in used and name not in outputs:
                yield Problem(name, "dangling: no op reads this parameter, and it is no output")
        elif name in inputs:
            if made:
                yield Problem(name, f"it is an input of the graph and the result of {made}")
        elif not made:
            yield Problem(name, "dangling: no op produces this tensor, and it is no input of the graph")


def _cycle_problems(graph: nx.DiGraph) -> Iterator[Problem]:
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [str(edge[0]) for edge in nx.find_cycle(graph)]
        yield Problem(cycle[0], f"there is a cycle: {' -> '.join([*cycle, cycle[0]])}")
