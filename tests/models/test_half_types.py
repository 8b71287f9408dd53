"""Half-width models end to end: every group that fusion makes must compile, and give torch's answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import optima
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

#: one rounding of the storage, relative to the output's scale, and room for one more
TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 3e-2}


class Body(torch.nn.Module):
    """Contractions, folds and pools, each with elementwise ops before and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 3)
        self.norm = torch.nn.BatchNorm2d(16)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, groups=16)
        self.linear = torch.nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        body = F.relu(self.norm(self.conv(x)))
        pooled = torch.tanh(F.max_pool2d(body, 2)), torch.tanh(F.avg_pool2d(body, 2))
        narrow = F.relu(self.depthwise(body) + 1)
        rows = narrow.mean((2, 3)) * 2
        scores = torch.tanh(F.softmax(F.gelu(self.linear(rows)), -1) * 3)
        products = F.relu(rows @ rows.t()), F.layer_norm(rows, (16,)) + rows
        return (*pooled, scores, *products, F.relu(scores.sum(1)))


def _map(folder: Path, names: list[str], device: Callable[[int], str]) -> Path:
    path = folder / "map.json"
    path.write_text(json.dumps({name: device(i) for i, name in enumerate(names)}))
    return path


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("devices", [1, 2])
def test_a_half_model_equals_pytorch(dtype: torch.dtype, devices: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Body().eval().to(dtype)
    sample = torch.randn(2, 3, 12, 12).to(dtype)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[sample])
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    placement = _map(tmp_path, names, lambda i: f"X64:{i % devices}")
    compiled = Manager().optimize("Net", [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path, placement)
    report = optima.verify(module, compiled.path, [(sample,)], tolerance=TOLERANCE[dtype])
    assert report.ok, str(report)
