"""The arithmetic forms of exp, log, tanh and erf: accuracy over the whole range, edges, and that they are vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph, Op, Tensor, TensorType
from tests.ops.harness import compile_kernel, run_kernel

_ERF = np.vectorize(math.erf)
_EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "erf": _ERF,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
_COUNT = 1 << 14


def _graph(op: str, count: int) -> Graph:
    kind = TensorType((count,), "float32")
    tensors = {"self": Tensor("self", kind), "out": Tensor("out", kind)}
    return Graph(op, (Op("op_0", op, ("self",), ("self",), ("out",)),), tensors, ("self",), ("out",))


@cache
def _samples() -> np.ndarray[Any, Any]:
    """Every sign and exponent, denormals among them, with random mantissas; then the range where things happen."""
    rng = np.random.default_rng(5)
    wide = rng.integers(0, 1 << 32, _COUNT // 2, dtype="uint32").view("float32")
    near = rng.uniform(-20, 20, _COUNT // 4)
    small = rng.uniform(-1, 1, _COUNT // 4)
    return np.concatenate([wide, near.astype("float32"), small.astype("float32")])


@pytest.mark.parametrize("op", _EXACT)
def test_within_a_few_ulp_of_the_exact_function_everywhere(op: str) -> None:
    x = _samples()
    (got,) = run_kernel(_graph(op, _COUNT), {"self": x})
    with np.errstate(all="ignore"):
        exact = _EXACT[op](x.astype("float64"))
        want = exact.astype("float32")
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isposinf(got), np.isposinf(want))
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    finite = np.isfinite(want)
    # Relative to the value, but a denormal result has only its last bit to be right in.
    allowed = 5e-7 * np.abs(exact[finite]) + 2e-45
    error = np.abs(got[finite].astype("float64") - exact[finite])
    assert (error <= allowed).all(), x[finite][np.argmax(error / allowed)]


@pytest.mark.parametrize(
    ("op", "at", "value"),
    [
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("exp", 88.7, 3.32597683e38),
        ("exp", 88.8, math.inf),
        ("exp", -103.9, 1e-45),
        ("exp", -104.1, 0.0),
        ("log", 0.0, -math.inf),
        ("log", -0.0, -math.inf),
        ("log", 1.0, 0.0),
        ("log", 1e-45, -103.27893),
        ("log", math.inf, math.inf),
        ("log1p", -1.0, -math.inf),
        ("log1p", 1e-10, 1e-10),
        ("log1p", math.inf, math.inf),
        ("tanh", math.inf, 1.0),
        ("tanh", -9.5, -1.0),
        ("erf", -math.inf, -1.0),
        ("erf", 4.0, 1.0),
        ("expm1", -math.inf, -1.0),
        ("sigmoid", -math.inf, 0.0),
    ],
)
def test_edges(op: str, at: float, value: float) -> None:
    x = np.full(32, at, "float32")
    (got,) = run_kernel(_graph(op, 32), {"self": x})
    np.testing.assert_allclose(got, np.full(32, value, "float32"), rtol=2e-6, atol=0)


@pytest.mark.parametrize("op", ["log", "log1p"])
def test_outside_the_domain_is_nan(op: str) -> None:
    (got,) = run_kernel(_graph(op, 32), {"self": np.full(32, -1.5, "float32")})
    assert np.isnan(got).all()


@pytest.mark.parametrize("op", [*_EXACT, "gelu", "silu", "mish", "softplus", "elu", "hardswish"])
def test_no_call_into_the_c_library_is_left(op: str) -> None:
    from optima.ops.registry import entry_of
    from tests.ops.case import Arg, OpCase

    entry = entry_of(op)
    assert entry is not None
    kernel = compile_kernel(OpCase(op, (Arg("self", (4096,)),), dict(entry.attrs)).graph())
    assembly = kernel.mod.inspect_source("asm")
    calls = {line.split()[1].split("@")[0] for line in assembly.splitlines() if line.split()[:1] in (["callq"], ["bl"])}
    libm = {name for name in calls if name.removesuffix("f") in ("exp", "log", "log1p", "expm1", "tanh", "erf", "pow")}
    assert not libm
