"""Modules whose convolutions and layers go to a quantising device, with the map that sends them there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from devices import DeviceEnum
from optima.graph import Graph
from optima.graph_io import load_graph
from optima.manager import CompiledModel, Manager
from torch2nx.converter import Torch2GraphConverter


class Cnn(nn.Module):
    """What MobileNet is made of: hardswish, a depthwise convolution, squeeze-and-excitation; trained statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16)
        self.deep, self.norm2 = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16)
        self.squeeze, self.excite, self.head = nn.Linear(16, 8), nn.Linear(8, 16), nn.Linear(16, 10)
        for norm in (self.norm1, self.norm2):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = nn.functional.hardswish(self.norm1(self.first(x)))
        x = torch.relu(self.norm2(self.deep(x)))
        gate = nn.functional.hardsigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        x = x * gate[:, :, None, None]
        return self.head(nn.functional.max_pool2d(x, 2).mean((2, 3))), x


class Block(nn.Module):
    """A transformer's encoder layer, norms first."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, steps, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, steps, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, steps, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


SHAPES = {Cnn: (1, 3, 32, 32), Block: (1, 10, 32)}


def module_of(cls: type[nn.Module]) -> nn.Module:
    """A module with seeded weights, in eval mode."""
    torch.manual_seed(0)
    return cls().eval()


def samples_of(cls: type[nn.Module], count: int = 8) -> list[tuple[torch.Tensor, ...]]:
    """Seeded representative data."""
    source = torch.Generator().manual_seed(1)
    return [(torch.randn(SHAPES[cls], generator=source),) for _ in range(count)]


def traced(module: nn.Module, *samples: torch.Tensor) -> Any:
    """The module's networkx graph."""
    return Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)


@cache
def graph_of(cls: type[nn.Module]) -> Graph:
    """The whole module as one graph."""
    return load_graph(traced(module_of(cls), *samples_of(cls, 1)[0]))


def op_names(graph: Any) -> list[str]:
    """The ops of a networkx graph, in order."""
    return [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]


def compiled(graph: Any, folder: Path, kind: str, ops: Sequence[str], samples: Any, **options: Any) -> CompiledModel:
    """The model with ``ops`` on ``<kind>:0`` and the others on X64, without the cache."""
    where = {name: f"{kind}:0" if name in ops else "X64:0" for name in op_names(graph)}
    (folder / "map.json").write_text(json.dumps(where))
    kinds = [DeviceEnum(kind), DeviceEnum.DEVICE_KIND_X64]
    return Manager().optimize(
        "Model", kinds, graph, folder / "out", folder / "map.json", sample_inputs=samples, use_cache=False, **options
    )
