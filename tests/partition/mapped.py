"""Small mapped graphs: from edge lists, at random or by hypothesis; and slow, plain oracles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from devices import DeviceRef
from optima.graph import Graph, Op, Tensor, TensorType
from optima.partition import Split

TYPE = TensorType((2, 3), "float32")
X0, X1 = DeviceRef.parse("X64:0"), DeviceRef.parse("X64:1")
#: device lists in the order in which the cases number them; one is a list of preference
DEVICES = (
    (X0,),
    (X1,),
    (DeviceRef.parse("HEXAGON:0"),),
    (DeviceRef.parse("HEXAGON:0"), X0),
    (DeviceRef.parse("NVIDIA:0"),),
)


def mapped_graph(sources: Sequence[Sequence[int]], devices: Sequence[int], *, twins: bool = False) -> Graph:
    """Op ``v`` reads every output of each op in ``sources[v]``, or the graph input where that is empty.

    All read the same parameter too. With ``twins`` every third op has two outputs.
    """
    tensors = {
        "tensor_0": Tensor("tensor_0", TYPE),
        "paramtensor_1": Tensor("paramtensor_1", TYPE, is_param=True, source="weight"),
    }
    ops: list[Op] = []
    outputs: list[tuple[str, ...]] = []
    for v, before in enumerate(sources):
        number = 10 * v + 10
        outs = tuple(f"tensor_{number + i}" for i in range(1, 3 if twins and v % 3 == 0 else 2))
        reads = [name for u in before for name in outputs[u]] or ["tensor_0"]
        inputs = (*reads, "paramtensor_1")
        roles = tuple(f"tensors.{i}" for i in range(len(inputs)))
        tensors |= {name: Tensor(name, TYPE) for name in outs}
        ops.append(Op(f"cat_{number}", "cat", inputs, roles, outs, {}, devices=DEVICES[devices[v]]))
        outputs.append(outs)
    read = {name for op in ops for name in op.inputs}
    ends = [name for outs in outputs for name in outs if name not in read] or ["tensor_0"]
    return Graph("net", tuple(ops), tensors, ("tensor_0",), tuple(ends))


def random_case(rng: random.Random, ops: int, devices: int, fan_in: int = 3) -> Graph:
    """A seeded random DAG with a random map over ``devices`` devices."""
    sources = [sorted({rng.randrange(v) for _ in range(rng.randint(0, fan_in))}) if v else [] for v in range(ops)]
    return mapped_graph(sources, [rng.randrange(devices) for _ in range(ops)])


@st.composite
def mapped_graphs(draw: st.DrawFn, max_ops: int = 24) -> Graph:
    """Random DAGs (from sparse chains to dense) x random maps over one to five device lists."""
    count = draw(st.integers(0, max_ops))
    rng = random.Random(draw(st.integers(0, 2**32)))
    fan_in, window = draw(st.integers(1, 4)), draw(st.integers(1, 24))
    devices = draw(st.integers(1, len(DEVICES)))
    sources = [
        sorted({rng.randrange(max(0, v - window), v) for _ in range(rng.randint(0, fan_in))}) if v else []
        for v in range(count)
    ]
    runs = draw(st.integers(1, 4))  # neighbours share a device more often than not in real maps
    placed = [rng.randrange(devices) for _ in range(count // runs + 1)]
    return mapped_graph(sources, [placed[v // runs] for v in range(count)], twins=draw(st.booleans()))


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same graph put together in another order: ops (still topological) and tensor table."""
    rng = random.Random(seed)
    left, made = list(graph.ops), {name for name in graph.tensors if name not in graph.producer}
    ops: list[Op] = []
    while left:
        op = rng.choice([op for op in left if made.issuperset(op.inputs)])
        left.remove(op)
        ops.append(op)
        made.update(op.outputs)
    names = list(graph.tensors)
    rng.shuffle(names)
    return replace(graph, ops=tuple(ops), tensors={name: graph.tensors[name] for name in names})


def part_numbers(split: Split) -> dict[str, int]:
    """Op name -> index of its subgraph."""
    return {op.name: sub.index for sub in split.subgraphs for op in sub.graph.ops}


def quotient(graph: Graph, part_of: dict[str, int]) -> dict[int, set[int]]:
    """Part -> the parts that read from it."""
    edges: dict[int, set[int]] = {i: set() for i in part_of.values()}
    for op in graph.ops:
        for name in op.inputs:
            maker = graph.producer.get(name)
            if maker is not None and part_of[maker.name] != part_of[op.name]:
                edges[part_of[maker.name]].add(part_of[op.name])
    return edges


def has_cycle(edges: dict[int, set[int]]) -> bool:
    """By taking away parts that nothing feeds until none is left, or none can be taken."""
    left = dict(edges)
    while left:
        fed = {target for targets in left.values() for target in targets}
        free = [part for part in left if part not in fed]
        if not free:
            return True
        for part in free:
            del left[part]
    return False


def fewest_parts(graph: Graph) -> int:
    """The exhaustive minimum of parts with an acyclic quotient.

    The parts of an acyclic split run one after the other, so it is the least number of steps, each of which
    runs some ops of one device list that are ready in turn. More ops in a step never hurt later ones,
    so breadth-first search over sets of ops done, trying all devices at each step, is exhaustive.
    """
    position = {op.name: v for v, op in enumerate(graph.ops)}
    makers = [{graph.producer[n].name for n in op.inputs if n in graph.producer} for op in graph.ops]
    needs = [sum(1 << position[name] for name in names) for names in makers]
    lists = list(dict.fromkeys(op.devices for op in graph.ops))
    done_sets, steps, everything = {0}, 0, (1 << len(needs)) - 1
    while everything not in done_sets:
        following = set()
        for done in done_sets:
            for devices in lists:
                after = done
                for v, op in enumerate(graph.ops):  # topological order: one pass drains the device
                    if op.devices == devices and needs[v] & ~after == 0:
                        after |= 1 << v
                following.add(after)
        done_sets = following
        steps += 1
    return steps


def fewest_parts_by_partitions(graph: Graph) -> int:
    """The same minimum without any argument: every set partition of the ops is tried. For up to 7 ops."""
    ops = graph.ops
    best = len(ops)

    def extend(part_of: dict[str, int], heads: list[Op]) -> None:
        nonlocal best
        if len(part_of) == len(ops):
            if len(heads) < best and not has_cycle(quotient(graph, part_of)):
                best = len(heads)
            return
        op = ops[len(part_of)]
        for i, head in enumerate(heads):
            if head.devices == op.devices:
                extend({**part_of, op.name: i}, heads)
        extend({**part_of, op.name: len(heads)}, [*heads, op])

    extend({}, [])
    return best
