"""Compile a group with the rule under test and compare it with the torch reference."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optima.graph import Graph, Op, Tensor, TensorType
from optima.kernels.lower import lower
from optima.kernels.target import CpuTarget, resolve
from optima.ops.entry import REQUIRED
from optima.ops.reference import infer_types, run_graph
from optima.ops.registry import entry_of

#: every vector width that x86 has; each runs on the machine that has the widest
TARGETS = ("", "x86-64-v3", "x86-64-v2")
Shapes = Mapping[str, Sequence[int]]


def one_op(name: str, operands: Shapes, attrs: Mapping[str, Any] | None = None) -> Graph:
    """A graph of one op whose operands, named after their roles, are all inputs."""
    return chain([(name, "out", tuple((r, r) for r in operands), attrs or {})], operands, ["out"])


def chain(
    steps: Sequence[tuple[str, str, Sequence[tuple[str, str]], Mapping[str, Any]]],
    inputs: Shapes,
    outputs: Sequence[str],
) -> Graph:
    """A graph of steps (op, output, ((role, tensor), ...), attributes) over float32 inputs."""
    tensors = {n: Tensor(n, TensorType(tuple(s), "float32")) for n, s in inputs.items()}
    ops: list[Op] = []
    for i, (name, out, operands, attrs) in enumerate(steps):
        roles, names = zip(*operands, strict=True)
        entry = entry_of(name)
        assert entry is not None, name
        defaults = {k: v for k, v in entry.attrs.items() if v is not REQUIRED}
        op = Op(f"{name}_{i}", name, names, roles, (out,), {**defaults, **attrs})
        (kind,) = infer_types(op, [tensors[n].type for n in names])
        tensors[out] = Tensor(out, kind)
        ops.append(op)
    return Graph("group", tuple(ops), tensors, tuple(inputs), tuple(outputs))


def target_named(name: str) -> CpuTarget:
    """A target of two threads, so that parallel loops are there whatever the machine."""
    return resolve(name, threads=2)


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Seeded standard normal inputs."""
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal(graph.type_of(n).shape).astype("float32") for n in graph.inputs}


def run_kernel(
    graph: Graph, inputs: Mapping[str, np.ndarray[Any, Any]], target: CpuTarget
) -> dict[str, np.ndarray[Any, Any]]:
    """The group's outputs, from a kernel compiled for ``target`` and run by TVM's own runtime."""
    import tvm

    built = tvm.compile(lower(graph, target), target.tvm_target()).jit()
    arguments = [tvm.runtime.tensor(inputs[n]) for n in graph.inputs]
    # NaN everywhere: an element that no one writes is seen.
    results = [tvm.runtime.tensor(np.full(graph.type_of(n).shape, np.nan, "float32")) for n in graph.outputs]
    built["kernel"](*arguments, *results)
    return {n: r.numpy() for n, r in zip(graph.outputs, results, strict=True)}


def check(graph: Graph, target: CpuTarget, caplog: Any, tolerance: float = 2e-5) -> None:
    """Equal to the reference within ``tolerance`` of the output's scale, and by its own rule, not by a fallback."""
    inputs = random_inputs(graph)
    with caplog.at_level(logging.DEBUG, logger="optima.kernels.schedule"):
        got = run_kernel(graph, inputs, target)
    assert not caplog.records, caplog.text
    wanted = run_graph(graph, inputs)
    for name, value in wanted.items():
        scale = max(float(np.abs(value).max()), 1e-6)
        assert float(np.abs(got[name] - value).max()) <= tolerance * scale, name
