"""Running on a Vulkan device: requests side by side, whole models by turns, what is not there, what is broken."""

from __future__ import annotations

import copy
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceRef
from optima.backends.base import LoadEnv
from optima.backends.spirv.devices_here import FoundDevice, hardware
from optima.backends.spirv.load import load, present
from optima.graph import Graph
from tests.backends.one_subgraph import Array, borders_of, view_of
from tests.backends.small_models import MODELS, Compiled
from tests.backends.spirv.harness import DEVICE, compiled, loaded, needs_vulkan

SUM = """graph g(%x: f32[3,40], %z: f32[3,40]) -> (%y)
  %a = add_0: add(%x, %z) : f32[3,40]
  %y = softmax_1: softmax(%a) {dim=1} : f32[3,40]
"""
ENV = LoadEnv(threads=1, fallback=True, log=logging.getLogger("tests"), present=False)


def values(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((3, 40)).astype(np.float32) for name in ("x", "z")}


def expected(given: dict[str, Array]) -> Array:
    return torch.softmax(torch.from_numpy(given["x"] + given["z"]), 1).numpy()


@needs_vulkan
def test_without_launches_there_is_no_answer() -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["calls"] = []
    borders = borders_of(graph, values(0))
    # Nothing launches, so what the device's fresh memory holds comes back: never the answer.
    load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV).bind(borders).run()
    assert not np.allclose(borders["y"], expected(values(0)))


@needs_vulkan
def test_requests_at_the_same_time_keep_to_their_own_buffers() -> None:
    graph = Graph.parse(SUM)
    executable = loaded(graph)

    def run(seed: int) -> float:
        borders = borders_of(graph, values(seed))
        invocation = executable.bind(borders)
        for _ in range(5):
            invocation.run()
        return float(np.abs(borders["y"] - expected(values(seed))).max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(run, range(8))) < 1e-6


@needs_vulkan
def test_a_trace_has_every_tensor_between_launches() -> None:
    graph = Graph.parse(SUM)
    borders = borders_of(graph, values(1))
    seen = loaded(graph).bind(borders).trace()
    assert {"x", "z", "y"} <= set(seen)
    np.testing.assert_allclose(seen["y"], expected(values(1)), atol=1e-6)


def test_a_software_device_never_counts_as_present() -> None:
    software = FoundDevice("llvmpipe", 0x5143, True, None)
    adreno = FoundDevice("Adreno (TM) 740", 0x5143, False, None)
    assert hardware(DEVICE, [software]) is None
    assert hardware(DEVICE, [software, adreno]) is adreno
    assert hardware(DeviceRef.parse("ADRENO:1"), [software, adreno]) is None
    assert hardware(DeviceRef.parse("MALI:0"), [adreno]) is None


@needs_vulkan
def test_a_broken_meta_is_refused_before_anything_runs() -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["calls"][0]["args"][0] = "nowhere"
    with pytest.raises(optima.BadSubgraph, match="nowhere"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


@needs_vulkan
def test_what_a_device_lacks_is_listed() -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["kernels"][0]["capabilities"] = ["Shader", "Kernel"]
    with pytest.raises(optima.DeviceLacks, match="Kernel"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


@needs_vulkan
@pytest.mark.parametrize("by_turns", [False, True], ids=["one", "by turns"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_equals_eager(name: str, by_turns: bool, tmp_path: Path) -> None:
    model = Compiled(name, DEVICE.kind, tmp_path, by_turns=by_turns)
    if not present(DEVICE):
        with pytest.raises(optima.DeviceAbsent):
            rt.Context().load_model(model.path)
    assert model.error() <= 1e-3
