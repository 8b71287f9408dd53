"""Small modules that were once compiled to a wrong answer, each found by ``random_modules``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import optima.runtime as rt
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter


class ViewThatIsAnOutput(torch.nn.Module):
    """A reshaped input that is an output and is read again: the copy is made after the kernel that reads it."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        view = x.reshape(1, 2, 12)
        return view, F.elu(view), view.reshape(24) + 1


class ViewOfAnOutput(torch.nn.Module):
    """One result under two shapes, both returned, and both read again."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = torch.relu(x)
        flat = y.reshape(24)
        return y, flat, flat.sum(), y.amax(1), flat.reshape(4, 6)


class SpareLanes(torch.nn.Module):
    """Infinity times the zero weights of spare lanes is NaN, which a second convolution spread to every channel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Conv2d(1, 5, 1), torch.nn.Conv2d(5, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.where(x > 13, torch.inf, x).reshape(1, 1, 4, 6)
        y: torch.Tensor = self.second(torch.clamp(self.first(x), -1, 1))
        return y


class OutputAndItsView(torch.nn.Module):
    """A result that is no more than another name of the last view: the kernel wrote to one, the copy read the other."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = (x * 3).view(24)
        pooled = x.mean(1, keepdim=True).flatten(0)
        return y, y.view(2, 12), pooled, pooled[..., None, None]


class LargeSums(torch.nn.Module):
    """Many terms, and a prime number of them: one chain of float32 additions stops growing at 2 ** 24."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ones = x[0, 0] * 0 + torch.ones(20_000_003)
        rows = (ones[:1_000_000] * torch.linspace(3, 4, 1_000_000)).reshape(2, 500, 1000)
        return ones.mean(), F.layer_norm(rows, (500, 1000)).abs().amax() + 1, rows.mean((1, 2))


SAMPLE = (torch.arange(24.0) - 9.5).reshape(2, 12)


MODULES = (ViewThatIsAnOutput(), ViewOfAnOutput(), SpareLanes(), OutputAndItsView(), LargeSums())


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_equal_to_pytorch(module: torch.nn.Module, tmp_path: Path) -> None:
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[SAMPLE], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    path = tmp_path / "map.json"
    path.write_text(json.dumps(dict.fromkeys(names, "X64:0")))
    made = Manager().optimize("m", [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path, path, progress=False)
    with torch.no_grad():
        expected = [t.numpy() for t in torch.utils._pytree.tree_leaves(module(SAMPLE))]
    model = rt.Context().load_model(made.path)
    # What memory holds by chance may be the right answer to the same question.
    model(-SAMPLE.numpy())
    found = torch.utils._pytree.tree_leaves(model(SAMPLE.numpy()))
    for want, got in zip(expected, found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
