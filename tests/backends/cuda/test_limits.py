"""Shapes at which a kernel would ask for more than a GPU, or an int32, has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optima.backends import backend_of
from optima.backends.cuda import simulator
from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.cuda import CUDA
from optima.kernels.gpu.source import Source, source
from optima.kernels.gpu.target import GpuTarget
from tests.backends.cuda.harness import DEVICE, compiled, needs_simulator, options, simulated

TARGET = GpuTarget()


def source_of(text: str) -> Source:
    return source(gpu_program(Graph.parse(text), TARGET), TARGET, CUDA)


def conv(dtype: str, channels: int, window: int) -> str:
    """Eight results of a convolution in each channel."""
    image, weights = f"{dtype}[1,6,{window},{window + 7}]", f"{dtype}[{channels},6,{window},{window}]"
    return f"graph g(%x: {image}, %w: {weights}) -> (%y)\n  %y = conv2d_0: conv2d(%x, %w) : {dtype}[1,{channels},1,8]\n"


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("window", [15, 31, 44, 45, 46, 70])
def test_the_weights_of_a_large_window_do_not_overflow_shared_memory(window: int, dtype: str) -> None:
    for kernel in source_of(conv(dtype, 8, window)).kernels:
        assert kernel.shared_bytes <= TARGET.shared_bytes


@needs_simulator
@pytest.mark.parametrize("window", [31, 46])
def test_a_large_window_is_right(window: int) -> None:
    graph, artifact = compiled(conv("f32", 6, window))
    rng = np.random.default_rng(0)
    values = {n: rng.standard_normal(graph.type_of(n).shape).astype(np.float32) for n in graph.inputs}
    (found,) = simulated(graph, artifact, values)
    wanted = torch.nn.functional.conv2d(*(torch.from_numpy(values[n]) for n in graph.inputs))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-3)


@needs_simulator
def test_no_thread_stores_what_it_did_not_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution of one position, as in a squeeze-and-excite block: what a thread leaves unset is a pattern here."""
    monkeypatch.setattr(simulator, "_FLAGS", (*simulator._FLAGS, "-ftrivial-auto-var-init=pattern"))
    graph, artifact = compiled(
        "graph g(%x: f32[2,16,1,1], %w: f32[6,16,1,1]) -> (%y)\n  %y = conv2d_0: conv2d(%x, %w) : f32[2,6,1,1]\n"
    )
    rng = np.random.default_rng(0)
    values = {n: rng.standard_normal(graph.type_of(n).shape).astype(np.float32) for n in graph.inputs}
    wanted = torch.nn.functional.conv2d(*(torch.from_numpy(values[n]) for n in graph.inputs)).numpy()
    for order in (False, True):
        (found,) = simulated(graph, artifact, values, simulator.Simulator(reversed_threads=order))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_more_elements_than_launches_count_are_refused() -> None:
    """A kernel indexes 2**31 - 1; rounded up to workgroups these were -8,388,608 of them."""
    for count in (2**31 - 1, 2**31 - 255, 2**31 - 256):
        graph = Graph.parse(f"graph g(%x: i8[{count}]) -> (%y)\n  %y = neg_0: neg(%x) : i8[{count}]\n")
        answer = backend_of("cuda").check(graph, ["neg_0"], DEVICE, options())["neg_0"]
        assert bool(answer) == (count == 2**31 - 256), answer
    assert all(0 < size <= TARGET.groups for kernel in source_of(graph.dump()).kernels for size in kernel.grid)
