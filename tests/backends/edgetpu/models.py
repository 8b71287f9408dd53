"""Small networks with seeded weights and batch-norm statistics that matter, and compiling them for the TPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from devices import DeviceEnum
from optima.manager import CompiledModel, Manager
from torch2nx.converter import Torch2GraphConverter

KINDS = (DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_TPU)


class SmallCnn(nn.Module):
    """Convolutions, a pool with padding, a residual, a head; the features are a result, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.max_pool2d(torch.relu(self.norm(self.first(x))), 3, 2, 1)
        x = x + F.hardswish(self.last(self.second(x)))
        return self.head(x.mean((2, 3))), x


class Inverted(nn.Module):
    """An inverted residual as MobileNetV2 has it."""

    def __init__(self, inner: int, outer: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = inner * factor
        self.expand, self.expand_norm = nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(wide)
        self.project, self.project_norm = nn.Conv2d(wide, outer, 1, bias=False), nn.BatchNorm2d(outer)
        self.residual = stride == 1 and inner == outer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self.expand_norm(self.expand(x)))
        y = F.relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class MobileStack(nn.Module):
    """A stem, three inverted residuals, a classifier.

    Five would be at 16 dB before the pool, and are there, too, by another quantiser (ONNX Runtime's).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        shapes = ((16, 16, 1, 2), (16, 24, 2, 4), (24, 24, 1, 4))
        self.blocks = nn.Sequential(*(Inverted(*shape) for shape in shapes))
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.blocks(F.relu6(self.norm(self.stem(x))))
        result: torch.Tensor = self.head(F.adaptive_avg_pool2d(features, 1).flatten(1))
        return result


def seeded(module: nn.Module) -> nn.Module:
    """In eval mode, with the statistics of its own layers and scales and shifts far from 1 and 0, as if trained."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0.0, 0.2)
            layer.momentum = 1.0
    with torch.no_grad():
        module.train()(torch.cat([x for (x,) in samples(64, seed=7)]))
    return module.eval()


def samples(count: int, seed: int = 0) -> list[tuple[torch.Tensor]]:
    """Images of 32 by 32: blobs of colour, brightness and contrast of their own, and noise."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(1, *shape, generator=generator)

    return [
        (F.interpolate(draw(3, 4, 4), size=(32, 32), mode="bilinear") + draw(3, 1, 1) + 0.1 * draw(3, 32, 32),)
        for _ in range(count)
    ]


def traced(module: nn.Module) -> Any:
    """The module's graph."""
    return Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples(1)[0]), gpu=False)


def compiled(graph: Any, folder: Path, hosted: Sequence[str] = (), name: str = "Net", **options: Any) -> CompiledModel:
    """Compiled for TPU:0, ops whose names begin with one of ``hosted`` for X64:0."""
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    mapped = {n: "X64:0" if n.startswith(tuple(hosted)) else "TPU:0" for n in names}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.json").write_text(json.dumps(mapped))
    return Manager().optimize(name, KINDS, graph, folder / "out", folder / "map.json", **options)
