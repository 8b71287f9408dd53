"""Small models that have what real ones have, for backends to run whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import optima.runtime as rt
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter


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


class SmallSelection(torch.nn.Module):
    """Rows sorted and selected from along a middle axis: a loop over the axes before and behind it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = x.kthvalue(2, dim=1, keepdim=True).values - x.median(dim=1, keepdim=True).values
        largest, places = x.topk(2, dim=1)
        return torch.cat([x.sort(dim=1).values, largest * places, middle], 1)


#: name -> (the model's class, its input's shape)
MODELS: dict[str, tuple[type[torch.nn.Module], tuple[int, ...]]] = {
    "cnn": (SmallCnn, (2, 3, 16, 16)),
    "block": (SmallBlock, (2, 9, 32)),
    "selection": (SmallSelection, (2, 5, 4)),
}


class Compiled:
    """One of MODELS for a kind of device, with options of the kind: all of it, or by turns with X64.

    ``path`` is its folder.
    """

    def __init__(self, name: str, kind: DeviceEnum, folder: Path, *, by_turns: bool, **options: Any) -> None:
        made, shape = MODELS[name]
        torch.manual_seed(0)
        self._module, self._sample = made().eval(), torch.randn(shape)
        graph = Torch2GraphConverter().convert(model=self._module, fake_torch_data=[self._sample], gpu=False)
        names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
        placement = {n: "X64:0" if by_turns and i // 2 % 2 else f"{kind.value}:0" for i, n in enumerate(names)}
        (folder / "map.json").write_text(json.dumps(placement))
        kinds = [kind, DeviceEnum.DEVICE_KIND_X64]
        made_for, places = {kind.value: options}, (folder / "out", folder / "map.json")
        result = Manager().optimize(name, kinds, graph, *places, progress=False, device_options=made_for)
        self.path = result.path

    def error(self) -> float:
        """The largest difference from eager, as a part of its largest value; absent devices are simulated."""
        found = rt.Context().load_model(self.path, fallback=True)(self._sample.numpy())
        found = found[0] if isinstance(found, list | tuple) else found
        wanted = self._module(self._sample).detach().numpy()
        return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())
