"""The validator: each way to break the contract is found, and all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

from optima.graph_io import load_graph
from tests.torch2nx.test_gpickle import small_graph
from torch2nx import schema
from torch2nx.errors import GraphError


def data(graph: nx.DiGraph, name: str) -> dict[str, Any]:
    found: dict[str, Any] = graph.nodes[name]["data"]
    return found


def test_the_small_graph_is_sound() -> None:
    schema.validate(small_graph())
    graph = load_graph(small_graph(), name="small")
    assert graph.name == "small" and graph.ops[0].origins[0].code == "return x + w"
    assert graph.ops[0].attrs == {"alpha": 1}


def unknown_operand(g: nx.DiGraph) -> None:
    data(g, "add_1")["inputs"][0] = "tensor_9"


def missing_edge(g: nx.DiGraph) -> None:
    g.remove_edge("tensor_0", "add_1")


def extra_edge(g: nx.DiGraph) -> None:
    g.add_edge("tensor_0", "tensor_3")


def dangling_tensor(g: nx.DiGraph) -> None:
    g.add_node("tensor_9", data=dict(data(g, "tensor_3")))


def dangling_parameter(g: nx.DiGraph) -> None:
    g.add_node("paramtensor_9", data=dict(data(g, "paramtensor_2")))


def cycle(g: nx.DiGraph) -> None:
    data(g, "add_1")["inputs"][0] = "tensor_3"
    g.remove_edge("tensor_0", "add_1")
    g.add_edge("tensor_3", "add_1")


def two_producers(g: nx.DiGraph) -> None:
    g.add_node("add_9", data={**data(g, "add_1")})
    g.add_edges_from([("tensor_0", "add_9"), ("paramtensor_2", "add_9"), ("add_9", "tensor_3")])


def roles_too_few(g: nx.DiGraph) -> None:
    data(g, "add_1")["roles"].pop()


def wrong_shape(g: nx.DiGraph) -> None:
    data(g, "paramtensor_2")["shape"] = [3]


def wrong_value_dtype(g: nx.DiGraph) -> None:
    data(g, "paramtensor_2")["value"] = np.ones(2)


def object_value(g: nx.DiGraph) -> None:
    data(g, "paramtensor_2")["value"] = np.array([None, None])


def no_value(g: nx.DiGraph) -> None:
    del data(g, "paramtensor_2")["value"]


def numpy_attribute(g: nx.DiGraph) -> None:
    data(g, "add_1")["attrs"]["alpha"] = np.float32(1)


def tuple_attribute(g: nx.DiGraph) -> None:
    data(g, "add_1")["attrs"]["alpha"] = (1, 2)


def bool_extent(g: nx.DiGraph) -> None:
    data(g, "tensor_0")["shape"] = [True]


def unknown_dtype(g: nx.DiGraph) -> None:
    data(g, "tensor_0")["dtype"] = "complex64"


def unknown_kind(g: nx.DiGraph) -> None:
    data(g, "tensor_0")["kind"] = "Node"


def missing_key(g: nx.DiGraph) -> None:
    del data(g, "add_1")["origin"]


def no_data(g: nx.DiGraph) -> None:
    del g.nodes["add_1"]["data"]


def unknown_output(g: nx.DiGraph) -> None:
    g.graph["outputs"] = ["tensor_99"]


def op_as_output(g: nx.DiGraph) -> None:
    g.graph["outputs"] = ["add_1"]


def produced_input(g: nx.DiGraph) -> None:
    g.graph["inputs"] = ["tensor_0", "tensor_3"]


def missing_graph_key(g: nx.DiGraph) -> None:
    del g.graph["out_tree"]


def tree_of_another_model(g: nx.DiGraph) -> None:
    g.graph["in_tree"] = '{"args":[],"kwargs":[]}'


def tree_that_is_no_json(g: nx.DiGraph) -> None:
    g.graph["out_tree"] = "{"


def layout_on_a_vector(g: nx.DiGraph) -> None:
    data(g, "tensor_0")["layout"] = "NHWC"


def state(g: nx.DiGraph) -> None:
    g.graph["state"] = [["tensor_0", "tensor_3"]]


def symbol(g: nx.DiGraph, **changes: Any) -> None:
    """A sound symbol but for ``changes``: None takes a key away."""
    add_count(g)
    entry = {"min": 0, "max": 2, "count": "tensor_8", "axes": [["tensor_3", 0]]} | changes
    g.graph["symbols"] = {"n0": {k: v for k, v in entry.items() if v is not None}}


def add_count(g: nx.DiGraph) -> None:
    g.add_node("tensor_8", data={**data(g, "tensor_0"), "shape": [], "dtype": "int64", "argument": ""})
    origin, kind = data(g, "add_1")["origin"], "OpNode"
    attrs = {"s": 1, "dtype": "int64"}
    op = {"kind": kind, "op": "scalar_tensor", "attrs": attrs, "inputs": [], "roles": [], "outputs": ["tensor_8"]}
    g.add_node("scalar_tensor_7", data={**op, "origin": origin})
    g.add_edge("scalar_tensor_7", "tensor_8")


def symbol_without_count(g: nx.DiGraph) -> None:
    symbol(g, count="tensor_99")


def symbol_counted_by_an_op(g: nx.DiGraph) -> None:
    symbol(g, count="add_1")


def symbol_counted_by_floats(g: nx.DiGraph) -> None:
    symbol(g, count="tensor_0")


def symbol_of_an_input(g: nx.DiGraph) -> None:
    symbol(g, axes=[["tensor_0", 0]])


def symbol_of_no_axis(g: nx.DiGraph) -> None:
    symbol(g, axes=[["tensor_3", 4]])


def symbol_of_another_size(g: nx.DiGraph) -> None:
    symbol(g, max=7)


def symbol_backwards(g: nx.DiGraph) -> None:
    symbol(g, min=3)


def symbol_twice(g: nx.DiGraph) -> None:
    symbol(g, axes=[["tensor_3", 0], ["tensor_3", 0]])


def symbol_without_key(g: nx.DiGraph) -> None:
    symbol(g, min=None)


def symbol_of_text(g: nx.DiGraph) -> None:
    symbol(g, max="2")


def symbol_with_odd_axes(g: nx.DiGraph) -> None:
    symbol(g, axes=[["tensor_3", True]])


def symbol_that_is_no_dict(g: nx.DiGraph) -> None:
    g.graph["symbols"] = {"n0": [0, 2]}


def symbol_without_name(g: nx.DiGraph) -> None:
    symbol(g)
    g.graph["symbols"] = {3: g.graph["symbols"]["n0"]}


def newer(g: nx.DiGraph) -> None:
    g.graph["format_version"] = 2


def no_version(g: nx.DiGraph) -> None:
    del g.graph["format_version"]


BREAKS: list[tuple[Callable[[nx.DiGraph], None], str]] = [
    (unknown_operand, "'tensor_9', which is no node"),
    (missing_edge, "but it is missing"),
    (extra_edge, "no operand list names this edge"),
    (dangling_tensor, "no op produces this tensor"),
    (dangling_parameter, "no op reads this parameter"),
    (cycle, "there is a cycle: "),
    (two_producers, "produced twice: by add_1 and by add_9"),
    (roles_too_few, "2 inputs but 1 roles"),
    (wrong_shape, "the value has shape [2], the node says [3]"),
    (wrong_value_dtype, "float64"),
    (object_value, "object"),
    (no_value, "numpy array as 'value'"),
    (numpy_attribute, "float32"),
    (tuple_attribute, "only builtin values"),
    (bool_extent, "not an int"),
    (unknown_dtype, "complex64"),
    (unknown_kind, "'Node'"),
    (missing_key, "'origin' is missing"),
    (no_data, "no attribute 'data'"),
    (unknown_output, "'tensor_99'"),
    (op_as_output, "an op stands among"),
    (produced_input, "an input of the graph and the result of add_1"),
    (missing_graph_key, "'out_tree' is missing"),
    (tree_of_another_model, "it has 0 tensor leaves"),
    (tree_that_is_no_json, "not JSON"),
    (layout_on_a_vector, "1 dimensions"),
    (state, "reserved"),
    (symbol_without_count, "'tensor_99' is no int64 scalar"),
    (symbol_counted_by_an_op, "'add_1' is no int64 scalar"),
    (symbol_counted_by_floats, "'tensor_0' is no int64 scalar"),
    (symbol_of_an_input, "'tensor_0' is no output"),
    (symbol_of_no_axis, "tensor_3 has no axis 4"),
    (symbol_of_another_size, "has size 2, not 7"),
    (symbol_backwards, "from 3 to 2"),
    (symbol_twice, "named twice"),
    (symbol_without_key, "exactly min, max, count, axes"),
    (symbol_of_text, "'max' is a str"),
    (symbol_with_odd_axes, "not [tensor, axis]"),
    (symbol_that_is_no_dict, "exactly min, max, count, axes"),
    (symbol_without_name, "not a word"),
    (newer, "format 2"),
    (no_version, "not a graph of torch2nx"),
]


@pytest.mark.parametrize(("break_it", "text"), BREAKS, ids=[b.__name__ for b, _ in BREAKS])
def test_each_break_is_named(break_it: Callable[[nx.DiGraph], None], text: str) -> None:
    graph = small_graph()
    break_it(graph)
    with pytest.raises(GraphError) as caught:
        load_graph(graph)
    assert text in str(caught.value)


def test_a_sound_symbol_is_read_and_kept() -> None:
    graph = small_graph()
    symbol(graph)
    (found,) = load_graph(graph).symbols
    assert (found.name, found.min, found.max, found.count) == ("n0", 0, 2, "tensor_8")
    assert found.axes == (("tensor_3", 0),)


def test_all_problems_come_at_once() -> None:
    graph = small_graph()
    for break_it in (missing_edge, dangling_tensor, wrong_shape, unknown_output, numpy_attribute):
        break_it(graph)
    with pytest.raises(GraphError) as caught:
        schema.validate(graph)
    assert len(caught.value.problems) >= 5


def test_what_is_no_digraph() -> None:
    for other in (nx.Graph(), nx.MultiDiGraph(), {"a": 1}, None):
        with pytest.raises(GraphError, match=r"networkx\.DiGraph"):
            schema.validate(other)  # type: ignore[arg-type]


def test_types_are_derived_again() -> None:
    graph = small_graph()
    data(graph, "tensor_3")["shape"] = [5]
    with pytest.raises(GraphError) as caught:
        load_graph(graph)
    assert caught.value.problems[0].subject in ("add_1", "tensor_3")


def test_the_order_of_nodes_changes_nothing() -> None:
    graph = small_graph()
    shuffled = nx.DiGraph()
    shuffled.graph.update(graph.graph)
    for name in reversed(list(graph.nodes)):
        shuffled.add_node(name, **graph.nodes[name])
    shuffled.add_edges_from(reversed(list(graph.edges)))
    assert load_graph(shuffled).dump() == load_graph(graph).dump()
