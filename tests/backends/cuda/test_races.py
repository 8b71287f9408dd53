"""Who reads and writes what in each kernel: no race, nothing beyond an array's end, nothing that nobody set."""

from __future__ import annotations

import numpy as np
import pytest

from optima.graph import numpy_dtype
from tests.backends.cuda.harness import SUM, compiled, needs_simulator, simulated
from tests.backends.cuda.watched import Watched


def one(op: str, out: str, **operands: str) -> str:
    """A graph of one operator: ``op`` with its attributes, the result's type, operands by role."""
    name, _, attributes = op.partition(" ")
    given = ", ".join(f"%{role}: {kind}" for role, kind in operands.items())
    called = f"{name}({', '.join(f'%{role}' for role in operands)})"
    return f"graph g({given}) -> (%y)\n  %y = {name}_0: {called} {attributes} : {out}\n"


KERNELS = {
    "softmax": SUM,
    "product": one("linear", "f32[70,40]", x="f32[70,33]", w="f32[40,33]"),
    "wide product": one("linear", "f64[129,65]", x="f64[129,31]", w="f64[65,31]"),
    "products": one("bmm", "i64[3,9,10]", x="i64[3,9,17]", w="i64[3,17,10]"),
    "one row": one("linear", "f16[1,9]", x="f16[1,257]", w="f16[9,257]"),
    "convolution": one("conv2d {padding=[1,1], stride=[2,2]}", "f32[2,7,7,6]", x="f32[2,3,13,11]", w="f32[7,3,3,3]"),
    "one position": one("conv2d", "f32[2,6,1,1]", x="f32[2,16,1,1]", w="f32[6,16,1,1]"),
    "one window": one("conv2d", "f64[2,5,1,1]", x="f64[2,4,3,3]", w="f64[5,4,3,3]"),
    "one line": one("conv1d", "f32[2,5,3]", x="f32[2,4,9]", w="f32[5,4,7]"),
    "norm": one("layer_norm {normalized_shape=[301]}", "f32[5,301]", x="f32[5,301]"),
    "columns": one("softmax {dim=1}", "f32[2,21,65]", x="f32[2,21,65]"),
    "attention": one(
        "scaled_dot_product_attention", "f32[2,3,20,16]", q="f32[2,3,20,16]", k="f32[2,3,35,16]", v="f32[2,3,35,16]"
    ),
    "short rows": one("softmax {dim=1}", "f32[20,3]", x="f32[20,3]"),
    "rows of one": one("log_softmax {dim=1}", "f32[20,1]", x="f32[20,1]"),
    "long sum": one("sum {dim=[1]}", "f32[3]", x="f32[3,5003]"),
    "several results": one("argmax {dim=1}", "i64[3]", x="f32[3,500]"),
    "scan": one("cumsum {dim=1}", "f32[3,50]", x="f32[3,50]"),
}


def faults_of(text: str, *, barriers: bool = True) -> list[str]:
    graph, artifact = compiled(text)
    rng, values = np.random.default_rng(0), {}
    for name in graph.inputs:
        kind = graph.type_of(name)
        values[name] = rng.standard_normal(kind.shape).astype(numpy_dtype(kind.dtype))
    device = Watched(barriers=barriers)
    simulated(graph, artifact, values, device)
    return device.faults


@needs_simulator
@pytest.mark.parametrize("name", KERNELS)
def test_no_kernel_races(name: str) -> None:
    assert faults_of(KERNELS[name]) == []


@needs_simulator
@pytest.mark.parametrize("name", ["softmax", "product", "convolution"])
def test_a_race_is_seen(name: str) -> None:
    """Without its barriers each of these is wrong, in whichever order the threads of a block come."""
    assert faults_of(KERNELS[name], barriers=False)
