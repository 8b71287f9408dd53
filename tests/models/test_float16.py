"""float16 models over the kinds of device: weights and borders in half, results beside eager half and float32.

Tolerances are relative to the output's largest magnitude. Devices that quantise are held to 20 dB of signal to noise.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import optima
import optima.runtime as rt
from conformance.device_routes import why_no_route
from devices import DeviceEnum
from examples.many_devices import deal
from examples.models import randomize
from examples.models.attention import EncoderBlock
from examples.models.resnet import BasicBlock
from optima.manager import Manager
from optima.quantise import sqnr_db
from torch2nx.converter import Torch2GraphConverter

HALF, SINGLE = torch.float16, torch.float32
#: against eager half: four times the spacing beside 1, as verify has it; against float32: half of that
NEAR_HALF, NEAR_SINGLE, LEAST_SQNR_DB = 2.0**-8, 2.0**-9, 20.0
IN_FLOAT = ("X64", "ADRENO", "MALI", "INTELGPU", "AMDGPU", "MYRIAD")
QUANTISING = ("HEXAGON", "TPU", "CV22", "ARA1")


class SmallResNet(nn.Module):
    """ResNet-18's stem, two of its blocks, one of them with a projection, and its head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(BasicBlock(16, 16, 1), BasicBlock(16, 32, 2))
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.pool(self.stem(x)))
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


@dataclass(frozen=True)
class Made:
    """A module in float32 and in half, with samples in float32."""

    single: nn.Module
    half: nn.Module
    samples: tuple[torch.Tensor, ...]

    def graph(self, dtype: torch.dtype = HALF) -> Any:
        module = copy.deepcopy(self.single).to(dtype)
        return Torch2GraphConverter().convert(model=module, fake_torch_data=[self.samples[0].to(dtype)])


@cache
def made(key: str) -> Made:
    torch.manual_seed(0)
    module, shape = {"cnn": (SmallResNet(), (1, 3, 32, 32)), "encoder": (EncoderBlock(), (2, 16, 64))}[key]
    single = randomize(module)
    return Made(single, copy.deepcopy(single).half(), tuple(torch.rand(shape) for _ in range(8)))


def names_of(graph: Any) -> list[str]:
    return [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]


def need(*kinds: str) -> None:
    lacking = [reason for kind in kinds if (reason := why_no_route(DeviceEnum(kind)))]
    if lacking:
        pytest.skip("; ".join(lacking))


def optimized(graph: Any, placement: dict[str, str], folder: Path, samples: Sequence[Any], **options: Any) -> Path:
    path = folder / "map.json"
    path.write_text(json.dumps(placement))
    words = dict.fromkeys([*(device.partition(":")[0] for device in placement.values()), "X64"])
    kinds = [DeviceEnum(word) for word in words]
    return Manager().optimize("Net", kinds, graph, folder / "out", path, samples, progress=False, **options).path


def compiled(model: Made, kinds: Sequence[str], folder: Path) -> Path:
    graph = model.graph()
    return optimized(graph, deal(names_of(graph), kinds), folder, [(x.half(),) for x in model.samples])


def loaded(path: Path) -> rt.Model:
    return rt.Context(rt.LogLevel.ERROR).load_model(path, fallback=True)


def results(model: Made, path: Path) -> tuple[Any, Any, Any]:
    """What the folder computes, eager in half, and eager in float32, over the samples; in float64."""
    runs = loaded(path)
    assert all(s.runs_on for s in runs.subgraph_info if s.device.kind.value in QUANTISING)
    got = [runs(x.half().numpy()) for x in model.samples]
    assert {str(array.dtype) for array in got} == {"float16"}
    with torch.no_grad():
        half = [model.half(x.half()).numpy() for x in model.samples]
        single = [model.single(x).numpy() for x in model.samples]
    return tuple(np.stack(rows).astype(np.float64) for rows in (got, half, single))  # type: ignore[return-value]


def error(got: Any, wanted: Any) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.fixture(autouse=True)
def short_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "onnxruntime")


@pytest.mark.parametrize("key", ["cnn", "encoder"])
@pytest.mark.parametrize("kinds", [(k,) for k in IN_FLOAT] + [("X64", "ADRENO", "MYRIAD")], ids="-".join)
def test_kinds_that_compute_in_floats(kinds: tuple[str, ...], key: str, tmp_path: Path) -> None:
    need(*kinds)
    got, half, single = results(made(key), compiled(made(key), kinds, tmp_path))
    assert error(got, half) <= NEAR_HALF
    assert error(got, single) <= NEAR_SINGLE


@pytest.mark.parametrize("key", ["cnn", "encoder"])
@pytest.mark.parametrize(
    "kinds", [(k,) for k in QUANTISING] + [("X64", "HEXAGON", "ADRENO", "TPU")], ids="-".join
)  # fmt: skip
def test_kinds_that_quantise_take_the_halves_as_float32(kinds: tuple[str, ...], key: str, tmp_path: Path) -> None:
    need(*kinds)
    got, half, single = results(made(key), compiled(made(key), kinds, tmp_path))
    assert sqnr_db(half, got) >= LEAST_SQNR_DB
    assert sqnr_db(single, got) >= LEAST_SQNR_DB


def test_weights_are_half_in_the_graph_and_in_the_folder(tmp_path: Path) -> None:
    need("ADRENO")
    graph = made("cnn").graph()
    held = {d["value"].dtype for _, d in graph.nodes(data="data") if d["kind"] == "ParamTensorNode"}
    assert held == {np.dtype("float16")}
    path = compiled(made("cnn"), ("X64", "ADRENO"), tmp_path)
    stored = {str(array.dtype) for array in load_file(path / "weights.safetensors").values()}
    assert stored - {"uint8"} == {"float16"}  # uint8 are the pads between entries
    meta = json.loads((path / "Subgraph_1" / "subgraph_1.meta").read_text())
    assert {c for k in meta["kernels"] for c in k["capabilities"]} >= {"Float16", "StorageBuffer16BitAccess"}


def test_without_half_arithmetic_a_gpu_leaves_it_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    need("MALI")
    from optima.backends.spirv.found import simulator
    from optima.backends.spirv.vulkan.device import open_device
    from optima.backends.spirv.vulkan.devices_here import found_devices

    path = compiled(made("encoder"), ("MALI",), tmp_path)
    features = open_device(simulator(found_devices())).features
    monkeypatch.setitem(features, "Float16", False)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        (info,) = rt.Context().load_model(path, fallback=True).subgraph_info
    assert "needs Float16" in caplog.text
    assert (str(info.device), info.backend, info.simulated) == ("MALI:0", "llvm", True)


class Mixed(nn.Module):
    """A half embedding and products, a softmax in float32, and a sum of both types."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.project = nn.Linear(16, 8)

    def forward(self, index: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self.project(self.words(index))
        scores = torch.softmax(rows.float() * 2, -1)
        return scores.half() @ rows.transpose(-1, -2), scores + rows + bias


@pytest.mark.parametrize("kind", ["X64", "ADRENO"])
def test_half_float32_and_integers_in_one_model(kind: str, tmp_path: Path) -> None:
    need(kind)
    torch.manual_seed(0)
    module = Mixed().eval().half()
    sample = (torch.randint(0, 20, (3, 7)), torch.randn(8))
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(sample))
    path = optimized(graph, dict.fromkeys(names_of(graph), f"{kind}:0"), tmp_path, [sample])
    with torch.no_grad():
        wanted = [w.numpy() for w in module(*sample)]
    runs = loaded(path)
    got = runs.run_flat(runs.flatten_inputs(sample))
    assert [a.dtype for a in got] == [w.dtype for w in wanted] == [np.float16, np.float32]
    assert max(error(g.astype(np.float64), w) for g, w in zip(got, wanted, strict=True)) <= NEAR_HALF


@pytest.mark.parametrize("kind", ("ADRENO", "MYRIAD", *QUANTISING))
def test_bfloat16_is_refused_with_the_map_that_works(kind: str, tmp_path: Path) -> None:
    need(kind)
    model = made("encoder")
    graph = model.graph(torch.bfloat16)
    samples = [(x.bfloat16(),) for x in model.samples]
    placement = dict.fromkeys(names_of(graph), f"{kind}:0")
    with pytest.raises(optima.errors.UnsupportedPlacement, match="bfloat16") as refused:
        optimized(graph, placement, tmp_path, samples)
    assert len(refused.value.problems) == len(placement)
    assert refused.value.patch == dict.fromkeys(placement, "X64:0")
    path = optimized(graph, dict.fromkeys(placement, "X64:0"), tmp_path, samples)
    report = optima.verify(copy.deepcopy(model.single).bfloat16(), path, samples)
    assert report.ok, str(report)


class Pooled(nn.Module):
    """An operator of which PyTorch's CPU has no half kernel, before one that HEXAGON would take."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(nn.functional.avg_pool3d(x, 2).mean(2))


POOLED = torch.rand(1, 2, 4, 4, 4).half()


def pooled(folder: Path, second: str, **options: Any) -> Path:
    graph = Torch2GraphConverter().convert(model=Pooled().eval(), fake_torch_data=[POOLED], gpu=True)
    first, *rest = names_of(graph)
    placement = {first: "X64:0", **dict.fromkeys(rest, second)}
    return optimized(graph, placement, folder, [(POOLED,)], **options)


needs_no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


@needs_no_cuda
@pytest.mark.parametrize("need_gpu", [True, False])
def test_what_only_cuda_can_run_is_refused_where_it_must_be_run(need_gpu: bool, tmp_path: Path) -> None:
    need("HEXAGON")
    with pytest.raises(optima.CudaNeeded, match="subgraph_1.*cannot run avg_pool3d of float16 on the CPU") as refused:
        pooled(tmp_path, "HEXAGON:0", need_gpu=need_gpu)
    assert "avg_pool3d" in refused.value.problems[0].code and "need_gpu=True" in refused.value.hint
    assert not (tmp_path / "out" / "Net").exists()


@needs_no_cuda
def test_a_model_that_nothing_runs_compiles_without_cuda(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = pooled(tmp_path, "X64:1", need_gpu=True)
    assert "need_gpu=True, and torch finds no CUDA device" in caplog.text
    wanted = Pooled()(POOLED.float()).numpy()
    assert error(loaded(path)(POOLED.numpy()).astype(np.float64), wanted) <= NEAR_SINGLE


class ConstantPool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(1, 2, 4, 4, 4).half())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + nn.functional.avg_pool3d(self.table, 2)


@needs_no_cuda
def test_a_constant_that_the_cpu_cannot_compute_in_half_is_left_to_the_device(tmp_path: Path) -> None:
    module, x = ConstantPool().eval(), torch.rand(1, 2, 2, 2, 2).half()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[x])
    path = optimized(graph, dict.fromkeys(names_of(graph), "X64:0"), tmp_path, [(x,)])
    wanted = module.float()(x.float()).detach().numpy()
    assert error(loaded(path)(x.numpy()).astype(np.float64), wanted) <= NEAR_SINGLE


class OnCuda(torch.Tensor):
    """Stands in for a tensor on a GPU: it says so, and numpy cannot have it before ``cpu()``."""

    @staticmethod
    def of(tensor: torch.Tensor) -> OnCuda:
        return tensor.clone().as_subclass(OnCuda)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda", 0)

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def cpu(self, *args: Any) -> torch.Tensor:  # type: ignore[override]
        return self.as_subclass(torch.Tensor)


def test_samples_and_inputs_may_lie_on_a_gpu(tmp_path: Path) -> None:
    need("HEXAGON")
    model = made("cnn")
    graph = model.graph()
    placement = deal(names_of(graph), ("X64", "HEXAGON"))
    samples = [x.half() for x in model.samples]
    paths = [
        optimized(graph, placement, tmp_path / name, [(of(x),) for x in samples])
        for name, of in (("cpu", torch.clone), ("cuda", OnCuda.of))
        if (tmp_path / name).mkdir() is None
    ]
    first, second = (loaded(path) for path in paths)
    np.testing.assert_array_equal(first(samples[0]), second(OnCuda.of(samples[0])))


def test_a_cuda_device_runs_the_samples_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is here: what is shown is that every operand is asked onto it, and results back."""
    need("HEXAGON")
    asked: list[Any] = []
    real = torch.Tensor.to

    def to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args and args[0] == "cuda":
            asked.append(tuple(tensor.shape))
            return tensor
        return real(tensor, *args, **kwargs)

    model = made("cnn")
    graph = model.graph()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "to", to)
    optimized(graph, deal(names_of(graph), ("X64", "HEXAGON")), tmp_path, [(model.samples[0].half(),)], need_gpu=True)
    assert tuple(model.samples[0].shape) in asked and tuple(model.half.stem[0].weight.shape) in asked


def test_no_warning_without_need_gpu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        pooled(tmp_path, "X64:0", need_gpu=False)
    assert "need_gpu" not in caplog.text
