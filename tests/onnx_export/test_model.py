"""Whole graphs as ONNX models: names, parameters, pass-throughs, refusals, equal bytes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from devices import UserError
from optima.graph import Graph
from optima.graph_io import load_graph
from optima.onnx_export import OnnxMissing, to_onnx
from optima.ops.reference import run_graph
from tests.onnx_export.test_cases import run
from torch2nx.converter import Torch2GraphConverter
from torch2nx.errors import GraphError

onnx = pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.norm(self.conv(x)))
        return self.head(features.mean((2, 3))), features


def graph_of(module: nn.Module, *samples: torch.Tensor) -> Graph:
    torch.manual_seed(0)
    traced = Torch2GraphConverter().convert(model=module.eval(), fake_torch_data=list(samples), gpu=False)
    return load_graph(traced)


@pytest.fixture(scope="module")
def net() -> Graph:
    return graph_of(Net(), torch.randn(2, 3, 9, 7))


@pytest.mark.parametrize("opset", [11, 13, 17, 22])
def test_a_network_runs_as_torch_runs_it(net: Graph, opset: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 7), dtype=np.float32)
    wanted = run_graph(net, {net.inputs[0]: x})
    got = run(to_onnx(net, opset), {net.inputs[0]: x})
    for name, result in zip(net.outputs, got, strict=True):
        np.testing.assert_allclose(result, wanted[name], atol=1e-5)


def test_values_have_the_names_of_the_graph(net: Graph) -> None:
    model = onnx.load_model_from_string(to_onnx(net))
    assert [i.name for i in model.graph.input] == list(net.inputs)
    assert [o.name for o in model.graph.output] == list(net.outputs)
    made = {name for node in model.graph.node for name in node.output}
    assert {name for op in net.ops for name in op.outputs} <= made
    assert model.opset_import[0].version == 22


def test_the_bytes_depend_on_the_graph_alone(net: Graph) -> None:
    assert to_onnx(net) == to_onnx(net)


def test_an_op_whose_result_is_its_operand_keeps_both_names() -> None:
    graph = Graph.parse(
        "graph g(%a: f32[3]) -> (%b, %c)\n  %b = detach_0: detach(%a) : f32[3]\n  %c = clone_1: clone(%b) : f32[3]\n"
    )
    x = np.arange(3, dtype=np.float32)
    for result in run(to_onnx(graph), {"a": x}):
        np.testing.assert_array_equal(result, x)


def test_what_cannot_be_written_is_refused_whole() -> None:
    graph = Graph.parse(
        "graph g(%a: f32[3]) -> (%c)\n  %b = digamma_0: digamma(%a) : f32[3]\n  %c = lgamma_1: lgamma(%b) : f32[3]\n"
    )
    with pytest.raises(GraphError) as refused:
        to_onnx(graph)
    assert [p.subject for p in refused.value.problems] == ["digamma_0", "lgamma_1"]


def test_versions_out_of_range_are_refused(net: Graph) -> None:
    with pytest.raises(UserError, match="opset 10"):
        to_onnx(net, 10)


def test_a_missing_package_says_what_to_install(net: Graph, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match="onnx is not installed"):
        to_onnx(net)
