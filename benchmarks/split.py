"""Time of the split at 1k, 10k and 100k ops, with torch.fx's CapabilityBasedPartitioner on the same 1k graph.

    python -m benchmarks.split [--json] [--runs 7] [--no-fx]

Each op reads one or two of the 20 tensors before it; the map is random over three devices, or alternates
between them op by op. Both make every op a candidate for a border, which is the worst case for a split. A
time is the median over fresh graphs (no cached tables) of the whole ``partition()``: order, waves, merge,
check, subgraphs, transfers; "cpu ms" is its time on the processor.
"""

from __future__ import annotations

import argparse
import json
import operator
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from devices import DeviceEnum, DeviceRef
from optima.graph import Graph, Op, Tensor, TensorType
from optima.partition import partition

SIZES = (1_000, 10_000, 100_000)
KINDS = ("random", "alternate")
DEVICES = tuple(DeviceRef(DeviceEnum.DEVICE_KIND_X64, index) for index in range(3))
WINDOW = 20


def main() -> None:
    """Measure, then print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--no-fx", action="store_true", help="leave torch.fx's partitioner out")
    arguments = parser.parse_args()
    rows = [measure(size, kind, arguments.runs) for kind in KINDS for size in SIZES]
    fx = [] if arguments.no_fx else [measure_fx(kind, arguments.runs) for kind in KINDS]
    if arguments.json:
        print(json.dumps({"optima": rows, "torch.fx": fx}, indent=1))
    else:
        show(rows, fx)


def show(rows: list[dict[str, Any]], fx: list[dict[str, Any]]) -> None:
    """The table, the linearity, and torch.fx's lines."""
    heads = ("ops", "subgraphs", "transfers", "median ms", "cpu ms", "us per op")
    print(f"{'map':<10}" + "".join(f"{head:>11}" for head in heads))
    for row in rows:
        counts = "".join(f"{row[key]:>11}" for key in ("ops", "subgraphs", "transfers"))
        figures = (row["median_ms"], row["median_cpu_ms"], 1e3 * row["median_cpu_ms"] / row["ops"])
        print(f"{row['map']:<10}{counts}" + "".join(f"{value:>11.1f}" for value in figures))
    for kind in KINDS:
        times = [row["median_cpu_ms"] for row in rows if row["map"] == kind]
        steps = ", ".join(f"{b / a / 10:.2f}" for a, b in zip(times, times[1:], strict=False))
        print(f"{kind}: processor time per op beside that of the size before (1.00 is linear): {steps}")
    for row in fx:
        print(
            f"torch.fx, {row['map']} map, {row['ops']} ops, the ops of one device only: "
            f"{row['median_ms']:.1f} ms, {row['median_cpu_ms']:.1f} on the processor, "
            f"{row['partitions']} partitions"
        )


def edges(size: int) -> list[tuple[int, ...]]:
    """For each op the ops that it reads, seeded; the first reads none."""
    rng = random.Random(size)
    return [
        tuple(sorted({rng.randrange(max(0, v - WINDOW), v) for _ in range(rng.randint(1, 2))})) if v else ()
        for v in range(size)
    ]


def placement(size: int, kind: str) -> list[int]:
    """For each op the number of its device."""
    rng = random.Random(size + 1)
    return [v % 3 if kind == "alternate" else rng.randrange(3) for v in range(size)]


def mapped_graph(size: int, kind: str) -> Graph:
    """The graph as Optima sees it, devices assigned."""
    shape = TensorType((1, 16), "float32")
    names = [f"tensor_{2 * v + 2}" for v in range(size)]
    ops = []
    for v, (before, device) in enumerate(zip(edges(size), placement(size, kind), strict=True)):
        inputs = tuple(names[u] for u in before) or ("tensor_0",)
        roles = ("self", "other")[: len(inputs)]
        kind_of_op = "add" if len(inputs) == 2 else "relu"
        ops.append(
            Op(
                f"{kind_of_op}_{2 * v + 1}",
                kind_of_op,
                inputs,
                roles,
                (names[v],),
                devices=(DEVICES[device],),
            )
        )
    tensors = {name: Tensor(name, shape) for name in ("tensor_0", *names)}
    return Graph("random", tuple(ops), tensors, ("tensor_0",), (names[-1],))


def timed(call: Callable[[], Any], runs: int) -> tuple[dict[str, float], Any]:
    """Median milliseconds after one run for warming up, and the last result.

    The time on the processor stands beside the one on the clock: on a busy machine only that means anything.
    """
    result = call()
    clock, processor = [], []
    for _ in range(runs):
        start, start_cpu = time.perf_counter(), time.process_time()
        result = call()
        clock.append(1e3 * (time.perf_counter() - start))
        processor.append(1e3 * (time.process_time() - start_cpu))
    return {"median_ms": statistics.median(clock), "median_cpu_ms": statistics.median(processor)}, result


def measure(size: int, kind: str, runs: int) -> dict[str, Any]:
    """One row: the split of one graph."""
    graph = mapped_graph(size, kind)
    times, split = timed(lambda: partition(replace(graph)), runs)
    return {
        "map": kind,
        "ops": size,
        "subgraphs": len(split.subgraphs),
        "transfers": len(split.transfers),
        **times,
    }


def measure_fx(kind: str, runs: int) -> dict[str, Any]:
    """The same graph of 1,000 ops in torch.fx, partitioned for the ops of one device."""
    import torch
    from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
    from torch.fx.passes.operator_support import create_op_support

    graph = torch.fx.Graph()
    source = graph.placeholder("x")
    nodes: list[torch.fx.Node] = []
    wanted: set[str] = set()
    for before, device in zip(edges(SIZES[0]), placement(SIZES[0], kind), strict=True):
        arguments = tuple(nodes[u] for u in before) or (source,)
        function: Callable[..., Any] = operator.add if len(arguments) == 2 else torch.relu
        nodes.append(graph.call_function(function, arguments))
        if device == 0:
            wanted.add(nodes[-1].name)
    graph.output(nodes[-1])
    module = torch.fx.GraphModule(torch.nn.Module(), graph)
    support = create_op_support(lambda _, node: node.name in wanted)

    def propose() -> Any:
        partitioner = CapabilityBasedPartitioner(module, support, allows_single_node_partition=True)
        return partitioner.propose_partitions()

    times, found = timed(propose, runs)
    return {
        "map": kind,
        "ops": SIZES[0],
        "partitions": len(found),
        **times,
    }


if __name__ == "__main__":
    main()
