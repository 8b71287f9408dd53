"""Groups of several ops in one kernel: right, and compiled in linear time whatever they nest."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.reference import infer_types, run_graph
from tests.ops.harness import compare, run_kernel


def _chain(
    shape: tuple[int, ...], steps: list[tuple[str, tuple[str, ...], dict[str, Any]]], dtype: str = "float32"
) -> Graph:
    """Ops on ``x`` and on each other's results ``t0``, ``t1``, ...; roles are the entries' own, in order."""
    from optima.ops.registry import entry_of

    tensors = {"x": Tensor("x", TensorType(shape, dtype))}
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


_INT = (2**31 - 1, -(2**31), 1234567890, 1, -1, -7, 0, 46341)
_LONG = (2**60 + 5, -(2**61), 2**62, 2**63 - 1, -(2**63), 7, -7, 0)
_WRAPPING = {
    "quotient_of_a_product": [("mul", ("x",), {"other": 3}), ("floor_divide", ("t0",), {"other": 3})],
    "remainder_of_a_product": [("mul", ("x",), {"other": 100}), ("remainder", ("t0",), {"other": 10})],
    "larger_of_a_sum": [("add", ("x",), {"other": 1}), ("maximum", ("t0", "x"), {})],
    "greater_sum": [("add", ("x",), {"other": 1}), ("gt", ("t0", "x"), {})],
    "magnitude": [("abs", ("x",), {}), ("ge", ("t0",), {"other": 0})],
    "square": [("mul", ("x", "x"), {}), ("ge", ("t0",), {"other": 0})],
    "negative": [("neg", ("x",), {}), ("lt", ("t0",), {"other": 0})],
    "far_sum": [("add", ("x",), {"other": 2**31})],
    "far_product": [("mul", ("x",), {"other": 2**31})],
    "far_equal": [("eq", ("x",), {"other": 2**31})],
    "difference": [("sub", ("x",), {"other": 5}), ("clamp", ("t0",), {"min": 0})],
}


@pytest.mark.parametrize("values", [_INT, _LONG], ids=["int32", "int64"])
@pytest.mark.parametrize("name", _WRAPPING)
def test_integers_wrap_in_a_group_too(name: str, values: tuple[int, ...]) -> None:
    dtype = "int32" if values is _INT else "int64"
    graph = _chain((len(values),), _WRAPPING[name], dtype)
    x = np.array(values, dtype)
    (got,) = run_kernel(graph, {"x": x})
    assert got.tolist() == run_graph(graph, {"x": x})[graph.outputs[0]].tolist()


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("threshold", {"threshold": 0.35, "value": 0.1}),
        ("hardshrink", {"lambd": 0.35}),
        ("hardshrink", {"lambd": np.nan}),
    ],
)
def test_a_limit_that_a_half_type_rounds(op: str, attrs: dict[str, Any]) -> None:
    graph = _chain((4,), [(op, ("x",), attrs)], "float16")
    x = np.array([0.35, -0.35, 0.3, np.nan], "float16")
    (got,) = run_kernel(graph, {"x": x})
    np.testing.assert_array_equal(got, run_graph(graph, {"x": x})[graph.outputs[0]])
