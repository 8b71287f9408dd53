"""Running on a device of either flavour: requests side by side, whole models by turns, what is missing or broken."""

from __future__ import annotations

import copy
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum, DeviceRef
from optima.backends.base import LoadEnv
from optima.backends.spirv.found import FoundDevice, hardware
from optima.backends.spirv.load import load, present_for
from optima.backends.spirv.meta import Flavour
from optima.graph import Graph
from optima.manager import Manager
from tests.backends.spirv.harness import DEVICE, FLAVOURS, Array, borders_of, compiled, loaded, view_of
from torch2nx.converter import Torch2GraphConverter

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
def test_what_a_device_lacks_is_listed(flavour: Flavour) -> None:
    graph = Graph.parse(SUM)
    artifact = compiled(graph, flavour)
    meta = copy.deepcopy(dict(artifact.meta))
    meta["kernels"][0]["capabilities"] = ["Float64", "capability 5999"]
    with pytest.raises(optima.DeviceLacks, match="capability 5999"):
        load(view_of(graph, replace(artifact, meta=meta)), DEVICE, ENV)


class SmallCnn(torch.nn.Module):
    """Convolutions with and without groups, batch norm, pooling, a residual, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.head = torch.nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        x = x + torch.relu(self.depthwise(x))
        return torch.softmax(self.head(x.mean((2, 3))), 1)


class SmallBlock(torch.nn.Module):
    """A transformer's block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.LayerNorm(32), torch.nn.LayerNorm(32)
        self.qkv, self.out = torch.nn.Linear(32, 96), torch.nn.Linear(32, 32)
        self.up, self.down = torch.nn.Linear(32, 64), torch.nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.first(x)).reshape(2, 9, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).reshape(2, 9, 32))
        return x + self.down(torch.nn.functional.gelu(self.up(self.second(x))))


MODELS = {"cnn": (SmallCnn, (2, 3, 16, 16)), "block": (SmallBlock, (2, 9, 32))}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("by_turns", [False, True], ids=["one", "by turns"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_equals_eager(name: str, by_turns: bool, tmp_path: Path, flavour: Flavour) -> None:
    made, shape = MODELS[name]
    torch.manual_seed(0)
    module, sample = made().eval(), torch.randn(shape)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[sample], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    placement = {n: "X64:0" if by_turns and i // 2 % 2 else "ADRENO:0" for i, n in enumerate(names)}
    (tmp_path / "map.json").write_text(json.dumps(placement))
    kinds = [DeviceEnum.DEVICE_KIND_ADRENO, DeviceEnum.DEVICE_KIND_X64]
    path = (
        Manager()
        .optimize(
            name,
            kinds,
            graph,
            tmp_path / "out",
            tmp_path / "map.json",
            progress=False,
            device_options={"ADRENO": {"flavour": flavour}},
        )
        .path
    )
    if not present_for(DEVICE, {"flavour": flavour}):
        with pytest.raises(optima.DeviceAbsent):
            rt.Context().load_model(path)
    found = rt.Context().load_model(path, fallback=True)(sample.numpy())
    found = found[0] if isinstance(found, list | tuple) else found
    wanted = module(sample).detach().numpy()
    assert np.abs(np.asarray(found) - wanted).max() <= 1e-3 * np.abs(wanted).max()
