"""Running on a device of either flavour: requests side by side, whole models by turns, what is missing or broken."""

from __future__ import annotations

import copy
import logging
import time
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
from optima.backends.gpu_route.executable import FROM_DEVICE, TO_DEVICE
from optima.backends.spirv.found import FoundDevice, hardware
from optima.backends.spirv.load import load, present_for
from optima.backends.spirv.meta import Flavour
from optima.graph import Graph
from tests.backends.one_subgraph import Array, borders_of, view_of
from tests.backends.small_models import MODELS, Compiled
from tests.backends.spirv.harness import DEVICE, FLAVOURS, compiled, loaded

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


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_launches_there_is_no_answer(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph, flavour)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["calls"] = []
    borders = borders_of(graph, values(0))
    # Nothing launches, so what the device's fresh memory holds comes back: never the answer.
    load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV).bind(borders).run()
    assert not np.allclose(borders["y"], expected(values(0)))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_requests_at_the_same_time_keep_to_their_own_buffers(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    executable = loaded(graph, flavour)

    def run(seed: int) -> float:
        borders = borders_of(graph, values(seed))
        invocation = executable.bind(borders)
        for _ in range(5):
            invocation.run()
        return float(np.abs(borders["y"] - expected(values(seed))).max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(run, range(8))) < 1e-6


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_trace_has_every_tensor_between_launches(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    borders = borders_of(graph, values(1))
    seen = loaded(graph, flavour).bind(borders).trace()
    assert {"x", "z", "y"} <= set(seen)
    np.testing.assert_allclose(seen["y"], expected(values(1)), atol=1e-6)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_device_tells_what_copies_and_launches_took(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    executable = loaded(graph, flavour)
    invocation = executable.bind(borders_of(graph, values(1)))
    for _ in range(3):
        start = time.perf_counter_ns()
        invocation.run()
        wall_us = (time.perf_counter_ns() - start) / 1000
        names, spans = zip(*invocation.timings(), strict=True)
        assert names == (TO_DEVICE, *(call.kernel for call in executable.meta.calls), FROM_DEVICE)
        assert all(us >= 0 for us in spans) and 0 < sum(spans) <= wall_us
        copies = invocation.copies_us()
        assert set(copies) == {*graph.inputs, *graph.outputs}
        assert spans[0] == pytest.approx(sum(copies[n] for n in graph.inputs))
        assert spans[-1] == pytest.approx(copies[graph.outputs[0]])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_transfer_has_a_time(flavour: Flavour, tmp_path: Path) -> None:
    model = Compiled("cnn", DEVICE.kind, tmp_path, by_turns=True, flavour=flavour)
    loaded_model = rt.Context().load_model(model.path, fallback=True)
    request = loaded_model.create_request()
    request.set_inputs(np.zeros(loaded_model.input_tensors_info[0].shape, np.float32))
    request.infer()
    request.wait()
    profile = request.profile_data
    times = [t.us for t in profile.transfers if t.kind == "copy"]
    assert times and all(us is not None and us > 0 for us in times)
    assert sum(us for us in times if us is not None) < sum(part.us for part in profile.subgraphs)
    assert "from the device" in str(profile) and " bytes" in str(profile)


def test_a_software_device_never_counts_as_present() -> None:
    software = FoundDevice("llvmpipe", DEVICE.kind, True, None)
    adreno = FoundDevice("Adreno (TM) 740", DEVICE.kind, False, None)
    assert hardware(DEVICE, [software]) is None
    assert hardware(DEVICE, [software, adreno]) is adreno
    assert hardware(DeviceRef.parse("ADRENO:1"), [software, adreno]) is None
    assert hardware(DeviceRef.parse("MALI:0"), [adreno]) is None


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_broken_meta_is_refused_before_anything_runs(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph, flavour)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["calls"][0]["args"][0] = "nowhere"
    with pytest.raises(optima.BadSubgraph, match="nowhere"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("binding", [1, 2**40])
def test_arguments_that_are_bound_elsewhere_are_refused(flavour: Flavour, binding: int) -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph, flavour)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["kernels"][0]["arguments"][0]["binding"] = binding
    with pytest.raises(optima.BadSubgraph, match="binds its arguments"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_a_device_lacks_is_listed(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph, flavour)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["kernels"][0]["capabilities"] = ["Float64", "capability 5999"]
    with pytest.raises(optima.DeviceLacks, match="capability 5999"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("by_turns", [False, True], ids=["one", "by turns"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_equals_eager(name: str, by_turns: bool, tmp_path: Path, flavour: Flavour) -> None:
    model = Compiled(name, DEVICE.kind, tmp_path, by_turns=by_turns, flavour=flavour)
    if not present_for(DEVICE, {"flavour": flavour}):
        with pytest.raises(optima.DeviceAbsent):
            rt.Context().load_model(model.path)
    assert model.error() <= 1e-3
