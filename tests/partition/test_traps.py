"""Cases in which other partitioners went wrong, and what the split refuses."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from devices import DeviceRef, InternalError
from optima.graph import Graph, Op, Tensor, TensorType
from optima.partition import assign, partition
from optima.partition.check import execution_order
from tests.partition.mapped import TYPE, X0, X1, fewest_parts, mapped_graph, part_numbers


def groups(graph: Graph) -> list[list[int]]:
    """Ops by subgraph, as the numbers of ``mapped_graph``'s edge list."""
    return [[int(op.name[4:]) // 10 - 1 for op in s.graph.ops] for s in partition(graph).subgraphs]


def test_a_shared_constant_joins_nothing() -> None:
    """Every op of ``mapped_graph`` reads one parameter: 0 -> 1 -> 2 must not fold back onto device 0."""
    graph = mapped_graph([[], [0], [1]], [0, 1, 0])
    assert groups(graph) == [[0], [1], [2]]
    assert all("paramtensor_1" in s.graph.tensors for s in partition(graph).subgraphs)
    assert all("paramtensor_1" not in s.graph.inputs for s in partition(graph).subgraphs)


def test_a_graph_input_joins_nothing_and_is_no_transfer() -> None:
    split = partition(mapped_graph([[], [], [0, 1]], [0, 1, 0]))
    assert [s.graph.inputs for s in split.subgraphs] == [("tensor_0",), ("tensor_0", "tensor_21")]
    assert split.borders == ("tensor_21",)


def test_a_circle_over_several_hops() -> None:
    """0 and 4 are on one device with three others between them, each a hop on the way back."""
    graph = mapped_graph([[], [0], [1], [2], [3, 0]], [0, 1, 2, 4, 0])
    assert groups(graph) == [[0], [1], [2], [3], [4]]


def test_convex_parts_that_wait_for_each_other() -> None:
    """A -> B and C -> D on two devices, {A, D} and {B, C}: both parts are convex, yet they form a circle."""
    graph = mapped_graph([[], [0], [], [2]], [0, 1, 1, 0])
    assert groups(graph) in ([[2], [0, 3], [1]], [[0], [1, 2], [3]])
    a, b, c, d = graph.ops
    with pytest.raises(InternalError, match="wait for each other") as caught:
        execution_order(graph, [[a, d], [b, c]])
    circle = [problem.subject for problem in caught.value.problems]
    assert sorted(circle) == ["tensor_11", "tensor_31"]
    assert "cat_10 in part 0 on X64:0 to cat_20 in part 1 on X64:1" in str(caught.value)


def test_the_reported_circle_is_closed_and_holds_no_bystander() -> None:
    """Parts 0 -> 1 -> 2 -> 0 wait for each other; part 3 only waits for them."""
    graph = mapped_graph([[], [0], [1], [2], [3]], [0, 1, 2, 0, 3])
    ops = graph.ops
    with pytest.raises(InternalError) as caught:
        execution_order(graph, [[ops[0], ops[3]], [ops[1]], [ops[2]], [ops[4]]])
    rows = [problem.reason.split() for problem in caught.value.problems]
    hops = [(row[4], row[row.index("to") + 4]) for row in rows]
    assert sorted(hops) == [("0", "1"), ("1", "2"), ("2", "0")]
    assert all(hop[1] == following[0] for hop, following in zip(hops, hops[1:], strict=False))


def test_separate_branches_of_one_device_are_one_subgraph() -> None:
    """No edge joins the two heads, but nothing forbids running them together."""
    assert groups(mapped_graph([[], [], [0], [1]], [0, 0, 1, 1])) == [[0, 1], [2, 3]]


def test_an_op_that_could_run_early_joins_the_later_wave() -> None:
    """Greedy draining alone would start twice on device 0: op 0 depends on nothing, op 2 on device 1."""
    assert groups(mapped_graph([[], [], [1]], [0, 1, 0])) == [[1], [0, 2]]


def test_another_first_device_can_save_a_subgraph() -> None:
    """The tallest path alone starts with device 0 and needs five."""
    graph = mapped_graph([[], [0], [], [2], [1, 3], [0, 3]], [0, 2, 2, 0, 1, 2])
    assert len(groups(graph)) == fewest_parts(graph) == 4


def test_preference_lists_are_keys_as_a_whole() -> None:
    hexagon = DeviceRef.parse("HEXAGON:0")
    chain = mapped_graph([[], [0], [1], [2]], [0, 0, 0, 0])
    lists = [(hexagon, X0), (hexagon, X0), (hexagon,), (X0, hexagon)]
    split = partition(replace(chain, ops=tuple(
        replace(op, devices=devices) for op, devices in zip(chain.ops, lists, strict=True)
    )))  # fmt: skip
    assert [s.devices for s in split.subgraphs] == [(hexagon, X0), (hexagon,), (X0, hexagon)]
    assert [t.kind for t in split.transfers] == ["copy", "copy"]


def test_outputs_that_are_inputs_or_parameters_need_no_subgraph() -> None:
    tensors = {"x": Tensor("x", TYPE), "w": Tensor("w", TYPE, is_param=True)}
    split = partition(Graph("identity", (), tensors, ("x",), ("x", "w", "x")))
    assert split.subgraphs == () and split.transfers == ()


def test_several_outputs_stay_together_and_an_unused_one_does_not_cross() -> None:
    types = {n: Tensor(n, TensorType((4,), "int64")) for n in ("x", "a", "b", "c")}
    split_op = Op("unbind_1", "unbind", ("x",), ("self",), ("a", "b"), {}, devices=(X0,))
    reader = Op("neg_2", "neg", ("b",), ("self",), ("c",), {}, devices=(X1,))
    split = partition(Graph("g", (split_op, reader), types, ("x",), ("c", "b")))
    assert split.subgraphs[0].graph.outputs == ("b",)
    assert [(t.tensor, t.source, t.target, t.nbytes) for t in split.transfers] == [
        ("b", "subgraph_0", "subgraph_1", 32)
    ]


def test_names_without_numbers_and_numbers_out_of_order() -> None:
    graph = mapped_graph([[], [0], [1]], [0, 0, 0])
    names = {"cat_10": "zeta", "cat_20": "cat_999999999999999999999", "cat_30": "cat_3"}
    renamed = replace(graph, ops=tuple(replace(op, name=names[op.name]) for op in graph.ops))
    (sub,) = partition(renamed).subgraphs
    assert [op.name for op in sub.graph.ops] == ["zeta", "cat_999999999999999999999", "cat_3"]


def test_thousands_of_device_lists_and_a_deep_chain() -> None:
    """No recursion over depth, and no work for each device list beyond its own parts."""
    count = 5000
    chain = mapped_graph([[v - 1] if v else [] for v in range(count)], [0] * count)
    ops = tuple(replace(op, devices=(replace(X0, index=v),)) for v, op in enumerate(chain.ops))
    assert len(partition(replace(chain, ops=ops)).subgraphs) == count
    assert len(partition(chain).subgraphs) == 1


def test_a_split_that_loses_or_mixes_ops_is_refused() -> None:
    graph = mapped_graph([[], [0], [1]], [0, 0, 1])
    a, b, c = graph.ops
    for parts, reason in (
        ([[a], [c]], "is in no part"),
        ([[a, b], [b], [c]], "is in part 0 and in part 1"),
        ([[a, b, c]], "cat_10 in its part is on X64:0"),
        ([[a, b], [c], []], "is empty"),
    ):
        with pytest.raises(InternalError, match=reason):
            execution_order(graph, parts)


def test_ops_without_a_device_are_refused() -> None:
    graph = mapped_graph([[], [0]], [0, 0])
    bare = replace(graph, ops=(replace(graph.ops[0], devices=()), graph.ops[1]))
    with pytest.raises(InternalError, match="cat_10"):
        partition(bare)
    with pytest.raises(InternalError, match="cat_20"):
        assign(graph, {"cat_10": (X0,), "folded_op_3": (X1,)})


def test_a_cyclic_graph_is_refused() -> None:
    tensors = {n: Tensor(n, TYPE) for n in ("a", "b")}
    ops = tuple(
        Op(f"neg_{i}", "neg", (source,), ("self",), (out,), {}, devices=(X0,))
        for i, (source, out) in enumerate([("b", "a"), ("a", "b")])
    )
    with pytest.raises(InternalError, match="cycle"):
        partition(Graph("g", ops, tensors, (), ("b",)))


def test_the_split_prints_as_a_table_and_travels_between_processes() -> None:
    split = partition(mapped_graph([[], [0], [1]], [0, 1, 2]))
    assert str(split).splitlines() == [
        "subgraph_0  X64:0      1 ops  cat_10 ...",
        "subgraph_1  X64:1      1 ops  cat_20 ...",
        "subgraph_2  HEXAGON:0  1 ops  cat_30 ...",
        "2 transfers, 1 of them copies (24 bytes)",
    ]
    assert pickle.loads(pickle.dumps(split.transfers)) == split.transfers  # noqa: S301
    assert split.subgraph_of["cat_20"].name == "subgraph_1"
    assert part_numbers(split) == {"cat_10": 0, "cat_20": 1, "cat_30": 2}
