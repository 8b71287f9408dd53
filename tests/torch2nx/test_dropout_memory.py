"""Dropout in eval mode returns its argument itself; whatever else is the same memory, tracing ends."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torch2nx.converter import Torch2GraphConverter


class Twice(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout2d(F.dropout2d(x, 0.5, training=False), 0.5, training=False) + x


class InTraining(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout2d(x, 0.0, training=True)


@pytest.mark.parametrize("module", [Twice(), InTraining()])
@pytest.mark.timeout(60)
def test_tracing_ends(module: nn.Module) -> None:
    # A storage that was merged with itself made the search for its root endless.
    graph = Torch2GraphConverter().convert(model=module.eval(), fake_torch_data=[torch.rand(1, 2, 3, 3)])
    assert all(d["op"] in ("add", "dropout") for _, d in graph.nodes(data="data") if d["kind"] == "OpNode")
