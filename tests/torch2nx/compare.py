"""Convert a module, run the graph op by op with the reference, and compare with eager PyTorch."""

from __future__ import annotations

import re
from typing import Any

import networkx as nx
import torch
from torch.utils._pytree import tree_flatten

from optima.graph import Graph
from optima.graph_io import load_graph
from optima.ops.reference import run_graph, to_numpy, to_torch
from torch2nx import pytree
from torch2nx.converter import Torch2GraphConverter


def convert(model: torch.nn.Module, *args: Any, **kwargs: Any) -> nx.DiGraph:
    """The graph of ``model.eval()(*args, **kwargs)``."""
    return Torch2GraphConverter().convert(model=model.eval(), fake_torch_data=list(args), fake_torch_kwargs=kwargs)


def ops(graph: nx.DiGraph) -> list[str]:
    """The kinds of op, in number order."""
    return [d["op"] for _, d in graph.nodes(data="data") if d["kind"] == "OpNode"]


def only_op(graph: nx.DiGraph, kind: str) -> dict[str, Any]:
    """The data of the one op of a kind."""
    (found,) = (d for _, d in graph.nodes(data="data") if d.get("op") == kind)
    data: dict[str, Any] = found
    return data


def run(graph: Graph, inputs: list[Any]) -> Any:
    """The reference's result of a graph, in the model's own structure, as torch tensors."""
    arrays = {name: to_numpy(t) for name, t in zip(graph.inputs, inputs, strict=True)}
    outputs = run_graph(graph, arrays)
    leaves = [to_torch(outputs[name], graph.type_of(name).dtype) for name in graph.outputs]
    return pytree.unflatten_outputs(graph.out_tree, leaves)


def _shown(spec: Any) -> str:
    """A structure as text; a rebuilt namedtuple is another class of the same name."""
    return re.sub(r"<class '[^']*?(\w+)'>", r"\1", str(spec))


def same_as_eager(model: torch.nn.Module, *args: Any, **kwargs: Any) -> nx.DiGraph:
    """Assert that the converted graph gives what eager gives, NaN included; return the networkx graph."""
    converted = convert(model, *args, **kwargs)
    graph = load_graph(converted)
    with torch.no_grad():
        expected = model(*args, **kwargs)
    origins = [d["origin"] for _, d in converted.nodes(data="data") if d["kind"] == "OpNode"]
    assert all(o["file"] and o["line"] > 0 and o["code"] for o in origins)
    flat = pytree.flatten_inputs(graph.in_tree, args, kwargs)
    got = run(graph, flat)
    expected_leaves, expected_spec = tree_flatten(expected)
    got_leaves, got_spec = tree_flatten(got)
    assert _shown(got_spec) == _shown(expected_spec)
    for mine, theirs in zip(got_leaves, expected_leaves, strict=True):
        if isinstance(theirs, torch.Tensor):
            torch.testing.assert_close(mine, theirs.detach(), rtol=1e-5, atol=1e-6, equal_nan=True)
        else:
            assert mine == theirs and type(mine) is type(theirs)
    return converted
