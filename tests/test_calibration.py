"""Representative data at a border: what eager computes there; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from optima.calibration import Calibration, CalibrationError
from optima.graph import Graph
from optima.graph_io import load_graph
from torch2nx.converter import Torch2GraphConverter


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(torch.tanh(self.first(x)) + shift)
        return result


MODULE = Two().eval()


def graph() -> Graph:
    samples = [torch.zeros(3, 4), torch.zeros(6)]
    return load_graph(Torch2GraphConverter().convert(model=MODULE, fake_torch_data=samples, gpu=False))


def test_a_border_gets_what_eager_computes() -> None:
    samples = [(torch.randn(3, 4), torch.randn(6)) for _ in range(3)]
    traced = graph()
    add = next(op for op in traced.ops if op.op == "add")
    found = Calibration(traced, samples).at([add.inputs[0], traced.inputs[1]], "subgraph_1")
    for (x, shift), border in zip(samples, found, strict=True):
        with torch.no_grad():
            np.testing.assert_allclose(border[add.inputs[0]], torch.tanh(MODULE.first(x)).numpy(), rtol=1e-6)
        np.testing.assert_array_equal(border[traced.inputs[1]], shift.numpy())


def test_keyword_samples_are_samples() -> None:
    traced = graph()
    sample = {"x": torch.ones(3, 4), "shift": torch.zeros(6)}
    (border,) = Calibration(traced, [sample]).at(traced.inputs, "subgraph_0")
    np.testing.assert_array_equal(border[traced.inputs[0]], np.ones((3, 4), np.float32))


def test_no_samples_say_what_to_pass() -> None:
    with pytest.raises(CalibrationError, match="subgraph_0 is quantised") as refused:
        Calibration(graph(), None).at(["tensor_0"], "subgraph_0")
    assert "sample_inputs" in refused.value.hint


def test_nan_is_refused_with_the_sample() -> None:
    traced = graph()
    samples = [(torch.zeros(3, 4), torch.zeros(6)), (torch.full((3, 4), float("nan")), torch.zeros(6))]
    with pytest.raises(CalibrationError, match="finite") as refused:
        Calibration(traced, samples).at(traced.inputs[:1], "subgraph_0")
    assert [p.subject for p in refused.value.problems] == ["sample_inputs[1]"]
