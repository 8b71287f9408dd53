"""Models whose result is a sum over nothing: what no kernel computes must still reach the caller."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter


class Sums(torch.nn.Module):
    """The sum over no element as an output, and read by another op as well."""

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        total = x.sum(0)
        return total, x.mean(), z + total, x.prod(), torch.relu(x), x.max(1).values


class NoInnerIndex(torch.nn.Module):
    """A product whose inner index has no value, alone at the border of a subgraph under an alternating map."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y + 1


CASES = {
    "sums": (Sums(), (torch.rand(0, 3), torch.rand(2, 3))),
    "product": (NoInnerIndex(), (torch.rand(3, 0), torch.rand(0, 5))),
}


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_constants_that_empty_tensors_leave_are_written(name: str, devices: int, tmp_path: Path) -> None:
    module, samples = CASES[name]
    graph = Torch2GraphConverter().convert(model=module.eval(), fake_torch_data=list(samples))
    ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    placement = tmp_path / "map.json"
    placement.write_text(json.dumps({n: f"X64:{i % devices}" for i, n in enumerate(ops)}))
    path = Manager().optimize("Net", [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path, placement).path
    request = rt.Context().load_model(path).create_request()
    expected = torch.utils._pytree.tree_leaves(module(*samples))
    for _ in range(3):
        np.full(1000, np.nan, np.float32)  # so that a buffer nobody writes is seen
        request.set_inputs([s.numpy() for s in samples])
        request.infer()
        assert request.wait(60_000) is False
        for want, got in zip(expected, request.get_outputs(), strict=True):
            np.testing.assert_array_equal(got, want.numpy())
    assert optima.verify(module, path, [samples]).ok
