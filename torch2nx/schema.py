"""The node contract inside a ``.gpickle``, and its validator.

The file holds a ``networkx.DiGraph``. It is bipartite: op nodes and tensor nodes alternate. Every node has
one attribute, ``data``, a plain dict of builtin types and numpy arrays.

An op, named ``<op>_<n>``:

    kind        "OpNode"
    op          aten's base name: "conv2d"
    attrs       {aten argument name: bool | int | float | str | None | list of those}
    inputs      ordered names of its operand tensors; a tensor may occur twice
    roles       aten's argument name of each operand: "weight", or "tensors.0" for a member of a list
    outputs     ordered names of its result tensors
    origin      {"file", "line", "function", "module", "code"}: the user's Python line

A tensor, named ``tensor_<n>`` or ``paramtensor_<n>``:

    kind        "TensorNode" or "ParamTensorNode"
    shape       list of ints, in PyTorch's order; where a size is known only at run time, its upper bound
    dtype       "float32", ... (see DTYPES)
    argument    the model's argument name for a user input ("x", nested "x.left.0"), else ""
    layout      "" or "NHWC": the order in which a 4-D border tensor is given to the user
    value       (parameters) the dense numpy array; bfloat16 as its uint16 bits
    source      (parameters) the PyTorch name: "layer1.0.conv1.weight", or "constant_3"

``inputs`` and ``outputs`` of the ops are the truth; edges mirror them. ``n`` is one running number: user
inputs in signature order, then op by op the op, its parameters at their first use, its outputs.

Graph attributes, in ``G.graph``:

    format_version   1
    inputs           ordered names of the user's tensors
    outputs          ordered names of the results, one per tensor leaf; a name may occur twice
    in_tree          JSON text: the structure of the arguments (see torch2nx.pytree)
    out_tree         JSON text: the structure of the result
    symbols          {name: {"min": 1, "max": 100, "count": tensor, "axes": [[output tensor, axis], ...]}}: sizes
                     known only at run time. ``count`` is an int64 scalar between min and max; the axes of the
                     outputs have max rows, of which the first ``count`` are the result
    state            [[input tensor, output tensor]]: reserved for buffers that a model writes; empty
    producer         {"torch2nx": version, "torch": version}
    extensions       {op: the module that registers it}: ops of the user's own; absent where there are none
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import networkx as nx

from devices.errors import Problem
from torch2nx import pytree
from torch2nx.errors import ArgumentsError, GraphError

FORMAT_VERSION: Final = 1

OP: Final = "OpNode"
TENSOR: Final = "TensorNode"
PARAM: Final = "ParamTensorNode"

NHWC: Final = "NHWC"

#: the dtypes that a graph may hold -> the numpy dtype that stores a value of it
DTYPES: Final[dict[str, str]] = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "uint16",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "int8": "int8",
    "uint8": "uint8",
    "bool": "bool",
}

ORIGIN_KEYS: Final = ("file", "line", "function", "module", "code")

_GRAPH_KEYS: Final[dict[str, type]] = {
    "inputs": list, "outputs": list, "in_tree": str, "out_tree": str, "symbols": dict, "state": list,
    "producer": dict,
}  # fmt: skip


def validate(graph: nx.DiGraph) -> None:
    """Check a networkx graph against the contract above.

    Raises GraphError listing every violation; a graph of a newer format gets an error of its own, since
    nothing else can be said about it.
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise GraphError(
            f"a model graph is a networkx.DiGraph, not {type(graph).__name__}",
            hint="pass what convert() returned, or what pickle.load() read from a .gpickle",
        )
    # The rules need the constants above.
    from torch2nx.rules import node_problems, reference_problems
    from torch2nx.symbol_rules import symbol_problems

    _check_version(graph)
    problems = [*_graph_problems(graph)]
    well_formed: dict[str, dict[str, Any]] = {}
    for name, attributes in graph.nodes(data=True):
        found = [*node_problems(name, attributes)]
        problems += found
        if not found:
            well_formed[name] = attributes["data"]
    # References are only followed between nodes that are sound by themselves.
    problems += reference_problems(graph, well_formed)
    problems += symbol_problems(graph.graph.get("symbols"), graph.graph.get("outputs"), well_formed)
    if not problems:
        problems += _tree_problems(graph)
    if problems:
        raise GraphError(
            f"the graph breaks its contract in {len(problems)} place(s)",
            problems=problems,
            hint="export it again with export_to_gpickle, or mend the nodes named above",
        )


def _check_version(graph: nx.DiGraph) -> None:
    version = graph.graph.get("format_version")
    if type(version) is not int or version < 1:
        raise GraphError(
            f"format_version is {version!r}: this is not a graph of torch2nx",
            hint="make it with Torch2GraphConverter().convert(...) and export_to_gpickle",
        )
    if version > FORMAT_VERSION:
        raise GraphError(
            f"the graph has format {version}, and this version of Optima reads up to {FORMAT_VERSION}",
            hint="install the version of Optima that wrote the file, or a newer one",
        )


def _graph_problems(graph: nx.DiGraph) -> Iterator[Problem]:
    from torch2nx.rules import key_problems

    yield from key_problems("graph", graph.graph, _GRAPH_KEYS)
    for key in ("inputs", "outputs"):
        names = graph.graph.get(key)
        if not isinstance(names, list):
            continue
        for name in names:
            if not isinstance(name, str) or name not in graph:
                yield Problem(key, f"the graph's {key} name {name!r}, which is no node")
        if key == "inputs" and len(set(map(repr, names))) != len(names):
            yield Problem(key, "an input is listed twice")
    producer = graph.graph.get("producer")
    if isinstance(producer, dict) and not all(type(t) is str for pair in producer.items() for t in pair):
        yield Problem("producer", "it maps names to versions, both as text")
    own = graph.graph.get("extensions", {})
    if type(own) is not dict or not all(type(t) is str for pair in own.items() for t in pair):
        yield Problem("extensions", "it maps ops to the modules that register them, both as text")
    if graph.graph.get("state"):
        yield Problem("state", "written buffers are reserved: this version reads graphs without them")


def _tree_problems(graph: nx.DiGraph) -> Iterator[Problem]:
    counts = (("in_tree", pytree.count_inputs, "inputs"), ("out_tree", pytree.count_outputs, "outputs"))
    for key, count, names in counts:
        try:
            leaves = count(graph.graph[key])
        except ArgumentsError as error:
            yield Problem(key, error.message)
            continue
        if leaves != len(graph.graph[names]):
            yield Problem(key, f"it has {leaves} tensor leaves, but the graph has {len(graph.graph[names])} {names}")
