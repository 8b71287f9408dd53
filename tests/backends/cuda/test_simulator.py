"""The simulator: CUDA C++ compiled for this CPU. What it shows of a kernel, and what it finds wrong in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import optima
from optima.backends.cuda.meta import CudaSubgraph, KernelMeta
from optima.backends.cuda.simulator import HostStream, Simulator
from optima.backends.gpu_route.meta import ArgumentMeta
from optima.kernels.gpu.printer.cuda import Cuda
from optima.kernels.gpu.printer.dialect import Argument, Kernel
from optima.native import aligned_empty
from tests.backends.cuda.harness import SUM, compiled, needs_simulator, simulated

PRODUCT = "graph g(%x: f32[70,33], %w: f32[40,33]) -> (%y)\n  %y = linear_0: linear(%x, %w) : f32[70,40]\n"


def kernel_of(body: str, dtype: str, threads: int) -> tuple[KernelMeta, Simulator, object]:
    """A kernel of one buffer with a body of its own, and its function."""
    text = Cuda().text(Kernel("k", (Argument("b", dtype, True),), (), (threads, 1, 1), "", body, frozenset()))
    meta = KernelMeta(
        name="k", source="k.cu", ptx="k.ptx", cubin="", entry_point="k", threads=(threads, 1, 1), groups=(1, 1, 1),
        arguments=(ArgumentMeta(dtype=dtype, access="write"),), shared_bytes=0,
    )  # fmt: skip
    whole = CudaSubgraph(
        format_version=1, name="g", inputs=(), outputs=(), buffers=(), constants=(), kernels=(meta,), calls=(),
        arena_bytes=0, architecture="sm_75", form="ptx",
    )  # fmt: skip
    simulator = Simulator()
    return meta, simulator, simulator.functions(whole, {"k.cu": text.encode()})["k"]


@needs_simulator
@pytest.mark.parametrize("reversed_threads", [False, True])
@pytest.mark.parametrize("text", [SUM, PRODUCT], ids=["softmax", "product"])
def test_the_order_of_threads_does_not_matter(text: str, reversed_threads: bool) -> None:
    graph, artifact = compiled(text)
    rng = np.random.default_rng(0)
    values = {n: rng.standard_normal(graph.type_of(n).shape).astype(np.float32) for n in graph.inputs}
    (found,) = simulated(graph, artifact, values, Simulator(reversed_threads=reversed_threads))
    first, second = (torch.from_numpy(values[n]) for n in graph.inputs)
    wanted = torch.softmax(first + second, 1) if text is SUM else torch.nn.functional.linear(first, second)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-5)


@needs_simulator
def test_threads_that_do_not_meet_are_found() -> None:
    kernel, _, function = kernel_of("  if (threadIdx.x < 3) { __syncthreads(); }\n", "float32", 8)
    block = aligned_empty((8,), "float32")
    with pytest.raises(optima.DeviceFailed, match="part at a barrier"):
        HostStream(False).launch(function, kernel, [block.ctypes.data])


@needs_simulator
def test_a_missing_barrier_shows_in_the_other_order() -> None:
    body = "  b[threadIdx.x] = float(threadIdx.x);\n  b[threadIdx.x] += b[(threadIdx.x + 1) % 8];\n"
    kernel, _, function = kernel_of(body, "float32", 8)
    found = []
    for order in (False, True):
        block = aligned_empty((8,), "float32")
        block.fill(-1)
        HostStream(order).launch(function, kernel, [block.ctypes.data])
        found.append(block.tolist())
    assert found[0] != found[1]


@needs_simulator
def test_half_width_floats_round_as_numpy_and_torch_do() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    edges = np.array([65519.99, 65520.0, 2**-24, 2**-25, 1.5 * 2**-25, 2**-14, 6.0975e-5, np.inf, -0.0], np.float32)
    near = rng.standard_normal(100_000).astype(np.float32) * np.float32(10.0) ** rng.integers(-9, 6, 100_000)
    singles = np.concatenate([bits.view(np.float32), edges, near.astype(np.float32)])
    singles = singles[~np.isnan(singles)]
    for dtype, wanted in (
        ("float16", torch.from_numpy(singles).to(torch.float16).view(torch.uint16).numpy()),
        ("bfloat16", torch.from_numpy(singles).to(torch.bfloat16).view(torch.uint16).numpy()),
    ):
        body = f"  for (int i = 0; i < {len(singles)}; ++i) {{ b[i] = float({dtype}(b[i])); }}\n"
        kernel, _, function = kernel_of(body, "float32", 1)
        block = aligned_empty(singles.shape, "float32")
        block[...] = singles
        HostStream(False).launch(function, kernel, [block.ctypes.data])
        back = torch.from_numpy(block.copy()).to(getattr(torch, dtype)).view(torch.uint16).numpy()
        np.testing.assert_array_equal(back, wanted)
        exact = torch.from_numpy(wanted.copy()).view(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(block, exact)


@needs_simulator
def test_a_compiler_that_fails_shows_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, artifact = compiled(SUM)
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'out of registers' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(optima.ToolFailed, match="out of registers"):
        simulated(graph, artifact, {})
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    with pytest.raises(optima.ToolMissing, match="no C\\+\\+ compiler"):
        simulated(graph, artifact, {})
