"""What every split must be, over thousands of random graphs and maps."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from optima.graph import Graph
from optima.partition import Split, assign, partition
from tests.partition.mapped import DEVICES, has_cycle, mapped_graphs, part_numbers, quotient, shuffled

many = settings(
    max_examples=2000, deadline=None, database=None, derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def as_text(split: Split) -> str:
    """Everything that a split says."""
    subgraphs = [
        f"{s.name} {s.index} {[str(d) for d in s.devices]} {[op.name for op in s.graph.ops]} "
        f"{list(s.graph.tensors)} {s.graph.inputs} {s.graph.outputs}"
        for s in split.subgraphs
    ]
    return "\n".join([*subgraphs, *map(str, split.transfers)])


@seed(1)
@many
@given(mapped_graphs())
def test_valid(graph: Graph) -> None:
    split = partition(graph)
    placed = [op.name for sub in split.subgraphs for op in sub.graph.ops]
    assert sorted(placed) == sorted(op.name for op in graph.ops), "every op exactly once"
    assert [(s.name, s.index) for s in split.subgraphs] == [(f"subgraph_{i}", i) for i in range(len(split.subgraphs))]
    for sub in split.subgraphs:
        assert {op.devices for op in sub.graph.ops} == {sub.devices}
    part_of = part_numbers(split)
    edges = quotient(graph, part_of)
    assert not has_cycle(edges)
    assert all(source < target for source, targets in edges.items() for target in targets), "execution order"


@seed(2)
@many
@given(mapped_graphs())
def test_borders(graph: Graph) -> None:
    """Run on names alone: each subgraph finds its inputs, and the model's outputs are there at the end."""
    split = partition(graph)
    there = {name: graph.type_of(name) for name in graph.inputs}
    maker: dict[str, str] = {}
    arrived: set[tuple[str, str]] = set()
    for sub in split.subgraphs:
        sub.graph.verify(types=False)
        for name in sub.graph.inputs:
            assert there[name] == sub.graph.type_of(name) == graph.type_of(name)
            if name in maker:
                arrived.add((name, sub.name))
        for name in sub.graph.outputs:
            there[name] = sub.graph.type_of(name)
            maker[name] = sub.name
    assert there.keys() >= {n for n in graph.outputs if not graph.tensors[n].is_param}
    assert {(t.tensor, t.target) for t in split.transfers} == arrived
    assert len(split.transfers) == len(arrived), "each once"
    kind_of = {sub.name: sub.devices[0].kind.value for sub in split.subgraphs}
    for t in split.transfers:
        assert t.source == maker[t.tensor] and t.nbytes == 24
        on_cpus = kind_of[t.source] == kind_of[t.target] == "X64"
        assert t.kind == ("alias" if on_cpus else "copy")
    assert not set(split.borders) & {"tensor_0", "paramtensor_1"}


@seed(3)
@many
@given(mapped_graphs(max_ops=16))
def test_nothing_left_to_merge(graph: Graph) -> None:
    """Brute force: joining any two subgraphs of one device list closes a circle."""
    split = partition(graph)
    part_of = part_numbers(split)
    for a in split.subgraphs:
        for b in split.subgraphs:
            if a.index < b.index and a.devices == b.devices:
                joined = {op: a.index if i == b.index else i for op, i in part_of.items()}
                assert has_cycle(quotient(graph, joined)), f"{a.name} and {b.name} could be one"


@seed(4)
@settings(many, max_examples=300)
@given(mapped_graphs(), st.integers(0, 2**32))
def test_order_of_keys_and_nodes_does_not_matter(graph: Graph, shuffle_seed: int) -> None:
    expected = as_text(partition(graph))
    assert as_text(partition(shuffled(graph, shuffle_seed))) == expected
    keys = [op.name for op in graph.ops]
    random.Random(shuffle_seed).shuffle(keys)
    allocation = {name: graph.op_by_name[name].devices for name in keys}
    bare = replace(graph, ops=tuple(replace(op, devices=()) for op in graph.ops))
    assert as_text(partition(assign(bare, allocation))) == expected


@seed(5)
@settings(many, max_examples=200)
@given(mapped_graphs(), st.sampled_from(DEVICES))
def test_one_device_list_gives_one_subgraph(graph: Graph, devices: tuple[object, ...]) -> None:
    one = replace(graph, ops=tuple(replace(op, devices=devices) for op in graph.ops))
    split = partition(one)
    assert len(split.subgraphs) == min(1, len(graph.ops))
    assert split.transfers == ()
    for sub in split.subgraphs:
        assert sub.graph.outputs == tuple(n for op in sub.graph.ops for n in op.outputs if n in graph.outputs)
