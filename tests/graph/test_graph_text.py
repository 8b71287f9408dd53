"""The text form: what it looks like, that it round-trips, and what a mistake in it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from optima import graph_parse, graph_text
from optima.graph import Graph, Op, Origin
from optima.graph_text import dump, parse, structurally_equal
from optima.ops.entry import REQUIRED, OpEntry
from tests.graph.random_graphs import graphs
from torch2nx.errors import GraphError

#: operators of the test's own, so that the text does not change with the real ones
ENTRIES = {
    "conv2d": OpEntry("conv2d", ("input", "weight", "bias?"), id, {"padding": [0, 0], "groups": 1}),
    "split": OpEntry("split", ("self",), id, {"split_size": REQUIRED, "dim": 0}),
    "cat": OpEntry("cat", ("tensors*",), id, {"dim": 0}),
    "relu": OpEntry("relu", ("self",), id),
    "batch_norm": OpEntry(
        "batch_norm",
        ("input", "weight?", "bias?", "running_mean?", "running_var?"),
        id,
        {"training": REQUIRED, "eps": 1e-5},
    ),
    "index": OpEntry("index", ("self", "indices*"), id),
}

BLOCK = """\
graph block(%tensor_0: f32[1,64,56,56] arg "x" layout "NHWC") -> (%tensor_3, %b)
  in_tree "[\\"x\\"]"
  %paramtensor_2 = param "conv1.weight" : f32[64,64,3,3] recipe ["param","conv1.weight"]
  %tensor_3 = conv2d_1: conv2d(%tensor_0, %paramtensor_2) {padding=[1,1]} : f32[1,64,56,56] @X64:0 !k0 \
# model.py:12 in stem (layer1.0) ; act.py:3 in <lambda>
  %a, %b = split_4: split(%tensor_3) {dim=1, split_size=32} : f32[1,32,56,56], f32[1,32,56,56] \
@[HEXAGON:0,X64:0]
  %c = cat_5: cat(%a, %b, %a) {dim=-1} : f32[1,32,56,168]
  %d = batch_norm_6: batch_norm(%c, running_mean=%m, running_var=%v) {eps=inf, training=False} : f32[]
"""


@pytest.fixture(autouse=True, scope="module")
def own_operators() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_text, "entry_of", ENTRIES.get)
        patch.setattr(graph_parse, "entry_of", ENTRIES.get)
        yield


@given(graphs())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_parse_of_dump_is_the_same_graph(graph: Graph) -> None:
    text = dump(graph)
    back = parse(text)
    assert structurally_equal(back, graph), text
    assert dump(back) == text


def test_the_form_of_the_design_is_what_dump_writes() -> None:
    graph = parse(BLOCK)
    conv, split, cat, norm = graph.ops
    assert conv.roles == ("input", "weight")
    assert conv.attrs["padding"] == (1, 1)
    assert conv.attrs["groups"] == 1, "parse puts defaults back"
    assert conv.origins == (
        Origin("model.py", 12, "stem", "layer1.0"),
        Origin("act.py", 3, "<lambda>"),
    )
    assert [str(d) for d in split.devices] == ["HEXAGON:0", "X64:0"]
    assert cat.roles == ("tensors.0", "tensors.1", "tensors.2")
    assert norm.roles == ("input", "running_mean", "running_var")
    assert graph.tensors["paramtensor_2"].recipe == ["param", "conv1.weight"]
    assert graph.tensors["tensor_0"].layout == "NHWC"
    assert dump(parse(dump(graph))) == dump(graph)
    line = "%tensor_3 = conv2d_1: conv2d(%tensor_0, %paramtensor_2) {padding=[1,1]} : f32[1,64,56,56] @X64:0"
    assert line in dump(graph)


def test_values_are_taken_from_the_mapping() -> None:
    value = np.zeros((64, 64, 3, 3), "float32")
    graph = parse(BLOCK, {"paramtensor_2": value})
    assert graph.tensors["paramtensor_2"].value is value
    assert parse(BLOCK).tensors["paramtensor_2"].value is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected 'graph"),
        ("graph g(%a f32[1]) -> ()", "line 1, column 12: expected ':'"),
        ("graph g(%a: f33[1]) -> ()", "expected a type such as f32"),
        ("graph g() -> ()\n\n  %a = relu_0: relu(%b) : f32[1] extra", "line 3, column 34: expected the end"),
        ("graph g() -> ()\n  %a = relu_0: relu(%b", "line 2, column 23: expected ','"),
        ("graph g() -> ()\n  %a = relu_0: relu(%b) {x=q} : f32[1]", "expected a value"),
        ("graph g() -> ()\n  %a = x_0: no_such(%b) : f32[1]", "there is no operator named 'no_such'"),
        ("graph g() -> ()\n  %a = relu_0: relu(%b, %c) : f32[1]", "relu has no operand at that place"),
        ("graph g() -> ()\n  %a = relu_0: relu(%b) : f32[1] @X65:0", "there is no kind 'X65'"),
        ("graph g() -> ()\n  %a = relu_0: relu(%b) : f32[1] # here", "expected an origin"),
        ("graph g(%a: f32[1]) -> ()\n  %a = relu_0: relu(%b) : f32[2]", "defined a second time"),
        ("graph g() -> ()\n  symbol n min 0 count %t axes []", "line 2, column 18: expected 'max'"),
        ("graph g() -> ()\n  symbol n min 0 max 3 count %t axes [4]", "a list of [tensor, axis]"),
        ('graph g(%"\\x": f32[1]) -> ()', "is not a JSON string"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_differences_are_seen() -> None:
    graph = parse(BLOCK)
    conv = graph.ops[0]

    def with_first(op: Op) -> Graph:
        return replace(graph, ops=(op, *graph.ops[1:]))

    assert structurally_equal(graph, with_first(replace(conv, attrs={"padding": (1, 1)})))
    for changed in (
        with_first(replace(conv, attrs={**conv.attrs, "groups": 2})),
        with_first(replace(conv, attrs={**conv.attrs, "groups": True})),
        with_first(replace(conv, kernel="k1")),
        with_first(replace(conv, origins=conv.origins[:1])),
        with_first(replace(conv, devices=())),
        replace(graph, outputs=("tensor_3",)),
        replace(graph, out_tree="x"),
    ):
        assert not structurally_equal(graph, changed)
        assert dump(graph) != dump(changed)
