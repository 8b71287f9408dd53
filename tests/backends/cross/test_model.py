"""Whole models for other CPUs: the folder, its target, what loading says here, and the answer under emulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from conformance.qemu import MACHINES, run_plan
from devices import DeviceEnum
from examples.c.write_plan import write_plan
from optima.kernels.cpu_kinds import BASELINES
from optima.kernels.cross import linker
from optima.kernels.cross.elf import machine_of
from optima.manager import Manager
from optima.tools import Tool
from tests.backends.cross.machine import need
from torch2nx.converter import Torch2GraphConverter


class Net(torch.nn.Module):
    """A small CNN: dense, strided, depthwise and pointwise convolutions, a residual, two pools, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(16)
        self.wide = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = torch.nn.Conv2d(16, 24, 1)
        self.head = torch.nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.nn.functional.max_pool2d(x, 2)
        x = x + torch.relu(self.wide(x))
        x = torch.relu(self.pointwise(self.depthwise(x)))
        return torch.softmax(self.head(x.mean((2, 3))), 1)


@pytest.fixture(scope="module")
def traced() -> tuple[torch.nn.Module, torch.Tensor, Any, list[str]]:
    torch.manual_seed(0)
    module, sample = Net().eval(), torch.randn(1, 3, 33, 31)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[sample], gpu=False)
    return module, sample, graph, [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]


def optimized(traced: Any, folder: Path, devices: list[str], **options: Any) -> Path:
    """The net with its ops dealt to ``devices`` in equal runs."""
    _, _, graph, names = traced
    share = -(-len(names) // len(devices))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.json").write_text(json.dumps({n: devices[i // share] for i, n in enumerate(names)}))
    kinds = [DeviceEnum(kind) for kind in dict.fromkeys(device.partition(":")[0] for device in devices)]
    path: Path = Manager().optimize("Net", kinds, graph, folder / "out", folder / "map.json", **options).path
    return path


def files_of(root: Path) -> dict[str, bytes]:
    found = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "report.json")
    return {str(p.relative_to(root)): p.read_bytes() for p in found}


@pytest.mark.parametrize("kind", MACHINES, ids=lambda k: k.value)
def test_a_whole_network_gives_torchs_answer(kind: DeviceEnum, traced: Any, tmp_path: Path) -> None:
    need(kind)
    module, sample, *_ = traced
    model = optimized(traced, tmp_path, [f"{kind.value}:0"])
    write_plan(model, "subgraph_0", tmp_path / "plan")
    meta = json.loads((model / "Subgraph_0" / "subgraph_0.meta").read_text())
    (given,), (made,) = meta["inputs"], meta["outputs"]
    (tmp_path / "plan" / f"{given}.in").write_bytes(sample.numpy().tobytes())
    assert run_plan(kind, tmp_path / "plan") == []
    got = np.frombuffer((tmp_path / "plan" / f"{made}.out").read_bytes(), np.float32)
    np.testing.assert_allclose(got, module(sample).detach().numpy().reshape(-1), rtol=1e-4, atol=1e-6)
    assert any("conv2d_blocked" in kernel["name"] for kernel in meta["kernels"])


@pytest.fixture(scope="module")
def split(traced: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_linker()
    options = {"ARM64": {"cpu": "cortex-a72", "features": "+dotprod"}}
    return optimized(traced, tmp_path_factory.mktemp("split"), ["X64:0", "ARM64:0"], device_options=options)


def need_linker() -> None:
    try:
        linker.find_linker("aarch64")
    except optima.ToolMissing as missing:
        pytest.skip(str(missing))


def test_each_subgraph_is_of_its_own_machine(split: Path) -> None:
    for part, architecture in (("Subgraph_0", "x86_64"), ("Subgraph_1", "aarch64")):
        kernels = sorted((split / part).glob("*.so"))
        assert kernels and {machine_of(k.read_bytes()) for k in kernels} == {architecture}


def test_the_target_and_the_linker_are_recorded(split: Path) -> None:
    here, there = json.loads((split / "model.meta").read_text())["subgraphs"]
    assert here["target"]["triple"] == "x86_64-linux-gnu" and "ziglang" not in here["produced_by"]
    target = there["target"]
    assert (target["triple"], target["cpu"]) == (BASELINES[DeviceEnum.DEVICE_KIND_ARM64].triple, "cortex-a72")
    assert target["features"] == ["aes", "crc", "dotprod", "fp-armv8", "neon", "sha2"]
    found = linker.find_linker("aarch64")
    assert there["produced_by"][found.name] == found.version


def test_the_same_bytes_each_time(traced: Any, tmp_path: Path) -> None:
    need_linker()
    first, second = (optimized(traced, tmp_path / n, ["ARM:0"], use_cache=False) for n in "ab")
    assert files_of(first) == files_of(second)


def test_it_is_refused_here_with_and_without_fallback(split: Path) -> None:
    with pytest.raises(rt.DeviceAbsent, match="ARM64:0") as absent:
        rt.Context().load_model(split)
    assert "no simulator" in absent.value.hint and "fallback" not in absent.value.hint
    with pytest.raises(rt.WrongCpu, match="compiled for aarch64-linux-gnu, and this is a x86_64") as wrong:
        rt.Context().load_model(split, fallback=True)
    assert "no simulator" in wrong.value.hint


def test_wrong_options_are_refused_before_anything_is_written(traced: Any, tmp_path: Path) -> None:
    options = {"ARM64": {"cpu": "cortex-a720000", "feature": "+dotprod"}}
    with pytest.raises(optima.DeviceOptionError, match="cortex-a72") as error:
        optimized(traced, tmp_path, ["ARM64:0"], device_options=options)
    assert len(error.value.problems) == 2
    assert not (tmp_path / "out" / "Net").exists()


def test_a_gpu_is_no_cpu(traced: Any, tmp_path: Path) -> None:
    with pytest.raises(optima.UnsupportedPlacement, match="compiles for X86, X64, ARM, ARM64, and not for MALI"):
        optimized(traced, tmp_path, ["MALI:0"], backends={"MALI": "llvm"})


def test_a_missing_linker_says_what_to_install(traced: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linker, "python_package", lambda *a, **k: Tool(*a, **k))
    monkeypatch.setattr(linker, "program", lambda *a, **k: Tool(*a, **k))
    with pytest.raises(optima.ToolMissing, match="no linker for aarch64") as error:
        optimized(traced, tmp_path, ["ARM64:0"])
    assert "[cross]" in error.value.hint and "apt-get install gcc-aarch64-linux-gnu" in error.value.hint
    assert not (tmp_path / "out" / "Net").exists()
