"""Groups of several ops in one kernel: right, and compiled in linear time whatever they nest."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.reference import infer_types, run_graph
from tests.ops.harness import compare, run_kernel


def _chain(shape: tuple[int, ...], steps: list[tuple[str, tuple[str, ...], dict[str, Any]]]) -> Graph:
    """Ops on ``x`` and on each other's results ``t0``, ``t1``, ...; roles are the entries' own, in order."""
    from optima.ops.registry import entry_of

    tensors = {"x": Tensor("x", TensorType(shape, "float32"))}
    ops = []
    for k, (name, inputs, attrs) in enumerate(steps):
        entry = entry_of(name)
        assert entry is not None
        roles = [f"tensors.{i}" for i in range(len(inputs))] if name == "cat" else entry.operands[: len(inputs)]
        op = Op(f"{name}_{k}", name, inputs, tuple(roles), (f"t{k}",), {**entry.attrs, **attrs})
        (kind,) = infer_types(op, [tensors[n].type for n in inputs])
        tensors[f"t{k}"] = Tensor(f"t{k}", kind)
        ops.append(op)
    return Graph("chain", tuple(ops), tensors, ("x",), (f"t{len(steps) - 1}",))


_UNARY = ("silu", "gelu", "softplus", "mish", "elu", "tanh", "sigmoid", "leaky_relu", "hardswish", "relu")
_CHAINS = {
    "ten_activations": [
        (n, (f"t{k - 1}" if k else "x",), {"approximate": "tanh"} if n == "gelu" else {}) for k, n in enumerate(_UNARY)
    ],
    "one_result_read_twice": [
        ("silu", ("x",), {}),
        ("gelu", ("t0",), {}),
        ("mul", ("t0", "t1"), {}),
        ("sub", ("t2", "t0"), {}),
        ("maximum", ("t3", "t1"), {}),
    ],
    "padded": [("silu", ("x",), {}), ("pad", ("t0",), {"pad": (1, 2)}), ("mul", ("t1",), {"other": 2.0})],
    "joined": [("exp", ("x",), {}), ("log1p", ("t0",), {}), ("cat", ("t1", "x", "t0"), {"dim": 1})],
    "moved": [("softplus", ("x",), {}), ("transpose", ("t0",), {"dim0": 0, "dim1": 1}), ("gelu", ("t1",), {})],
    "compared": [("eq", ("x",), {"other": 0.0}), ("logical_not", ("t0",), {}), ("to", ("t1",), {"dtype": "float32"})],
    "cancelling": [("add", ("x",), {"other": 1e8}), ("sub", ("t0",), {"other": 1e8}), ("sub", ("t1", "t1"), {})],
    "not_less": [("lt", ("x",), {"other": 0.0}), ("logical_not", ("t0",), {}), ("where", ("t1", "x", "x"), {})],
}


@pytest.mark.parametrize("name", _CHAINS)
def test_a_group_is_right_and_quickly_compiled(name: str) -> None:
    graph = _chain((6, 40), _CHAINS[name])
    x = np.random.default_rng(3).standard_normal((6, 40)).astype("float32")
    x.reshape(-1)[::7] = np.nan
    x.reshape(-1)[3::7] = np.inf
    started = time.process_time()
    (got,) = run_kernel(graph, {"x": x})
    assert time.process_time() - started < 5
    want = run_graph(graph, {"x": x})[graph.outputs[0]]
    compare(name, graph.type_of(graph.outputs[0]), got, want, 2e-6)
