"""``optima.verify``: equal when equal; a difference is found, measured, and traced to the first op that differs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import optima
from devices import DeviceEnum
from optima.graph import Op
from optima.manager import Manager
from optima.verification import difference
from torch2nx.converter import Torch2GraphConverter


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 4)
        self.third = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.relu(self.first(x))
        middle = self.second(hidden)
        return {"scores": self.third(middle), "middle": middle.exp()}


SAMPLES = [(torch.linspace(-1, 1, 12).reshape(2, 6),), (torch.full((2, 6), 0.3),)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Path]:
    folder = tmp_path_factory.mktemp("verify")
    torch.manual_seed(0)
    module = Small().eval()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(SAMPLES[0]), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (folder / "map.json").write_text(json.dumps({n: f"X64:{i % 2}" for i, n in enumerate(names)}))
    made = Manager().optimize("Small", [DeviceEnum.DEVICE_KIND_X64], graph, folder, folder / "map.json")
    return module, made.path


def test_equal(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    report = optima.verify(module, path, SAMPLES)
    assert report.ok and report.first_difference is None and report.samples == 2
    assert [c.label for c in report.outputs] == ["scores", "middle"]
    assert report.borders and 0 <= report.largest_error < 1e-5
    assert "equal over 2 samples" in str(report)


def test_a_difference_is_traced_to_its_op(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    with torch.no_grad():
        module.second.weight[1, 2] += 0.05
    try:
        report = optima.verify(module, path, SAMPLES)
    finally:
        with torch.no_grad():
            module.second.weight[1, 2] -= 0.05
    assert not report.ok
    first = report.first_difference
    assert first is not None and first.op == "linear" and first.origins[0].module == "second"
    assert first.origins[0].file.endswith("test_verification.py")
    text = str(report)
    assert "DIFFERENT" in text and "middle = self.second(hidden)" in text and first.name in text


def test_an_inner_difference_that_no_output_shows(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    found = optima.verify(module, path, SAMPLES)
    op = Op("linear_9", "linear", ("tensor_8",), ("input",), ("tensor_10",))
    assert "no output shows it, but an op inside differs: linear_9" in str(replace(found, first_difference=op))


def test_nan_is_a_difference(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    bias = module.third.bias.detach().clone()
    with torch.no_grad():
        module.third.bias[0] = float("nan")
    try:
        report = optima.verify(module, path, SAMPLES)
    finally:
        with torch.no_grad():
            module.third.bias.copy_(bias)
    assert [c.ok for c in report.outputs] == [False, True]
    assert "NaN" in report.outputs[0].reason


def test_what_cannot_be_compared_is_refused(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    with pytest.raises(optima.VerifyError, match="not the one"):
        optima.verify(nn.Linear(6, 3).eval(), path, SAMPLES)
    with pytest.raises(optima.VerifyError, match="no samples"):
        optima.verify(module, path, [])
    with pytest.raises(optima.VerifyError, match="tuple"):
        optima.verify(module, path, [torch.rand(2, 6)])  # type: ignore[list-item]
    with pytest.raises(optima.OptimaError):
        optima.verify(module, path.parent / "nowhere", SAMPLES)
    with pytest.raises(optima.OptimaError):
        optima.verify(module, path, [(torch.rand(3, 6),)])


def test_training_flags_are_left_alone(compiled: tuple[Small, Path]) -> None:
    module, path = compiled
    module.second.train()
    optima.verify(module, path, SAMPLES[:1])
    assert module.second.training and not module.first.training
    module.eval()


ONE = np.ones((2, 2), np.float32)


@pytest.mark.parametrize(
    ("expected", "found", "reason"),
    [
        (ONE, None, "missing"),
        (ONE, ONE[:1], "shape"),
        (ONE, ONE.astype("float64"), "dtype"),
        (ONE, np.full_like(ONE, np.nan), "NaN"),
        (np.full_like(ONE, np.inf), ONE, "infinite"),
        (np.full_like(ONE, np.inf), np.full_like(ONE, -np.inf), "infinite"),
        (ONE, ONE + 1e-3, "differs"),
        (np.zeros_like(ONE), ONE, "differs"),
        (np.array([1, 2]), np.array([1, 3]), "1 elements"),
        (np.array([True]), np.array([False]), "1 elements"),
    ],
)
def test_what_counts_as_a_difference(expected: np.ndarray, found: np.ndarray | None, reason: str) -> None:
    error, why = difference(expected, found, str(expected.dtype), 1e-4)
    assert reason in why and error > 0


SAME = [ONE, np.full_like(ONE, np.nan), np.full_like(ONE, -np.inf), np.zeros((0, 3), "int64")]


@pytest.mark.parametrize("same", SAME)
def test_what_does_not(same: np.ndarray) -> None:
    assert difference(same, same.copy(), str(same.dtype), 1e-4) == (0.0, "")


class Rotary(nn.Module):
    """A table made at the first call, as rotary embeddings keep one."""

    def __init__(self) -> None:
        super().__init__()
        self.table: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.table is None:
            self.table = torch.arange(x.shape[1]).float().cos()
        return x * self.table


class Padded(nn.Module):
    """A transformer whose fused path leaves zeros in padded places."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.encoder(self.embed(ids), src_key_padding_mask=ids == 0)  # type: ignore[no-any-return]


def _compiled_model(module: nn.Module, sample: torch.Tensor, folder: Path) -> Path:
    converter = Torch2GraphConverter()
    graph = converter.convert(model=module.eval(), fake_torch_data=[sample])
    converter.export_to_gpickle(folder / "m.gpickle", graph)
    converter.get_onedevice_allocator(folder / "m.json", "X64", folder / "m.gpickle")
    kinds = [DeviceEnum.DEVICE_KIND_X64]
    made = Manager().optimize("m", kinds, folder / "m.gpickle", folder, folder / "m.json", progress=False)
    return made.path


@pytest.mark.parametrize(
    ("module", "sample"),
    [
        (Rotary(), torch.randn(2, 4)),
        (Padded(), torch.tensor([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])),
        (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)).half(), torch.randn(3, 64).half()),
    ],
)
def test_equal_as_often_as_asked(module: nn.Module, sample: torch.Tensor, tmp_path: Path) -> None:
    path = _compiled_model(module, sample, tmp_path)
    with torch.no_grad():
        module(sample)
    reports = [optima.verify(module, path, [(sample,)]) for _ in range(2)]
    assert all(report.ok for report in reports), str(reports[-1])
