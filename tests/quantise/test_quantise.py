"""QDQ models: quality on a network and a transformer block, equal bytes, parameters as weights, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optima.graph import Graph
from optima.graph_io import load_graph
from optima.onnx_export import to_onnx
from optima.passes.fold_constants import fold_constants
from optima.quantise import QuantisationError, Scheme, prepare, quantise, refuse_noise, sqnr_db, sqnr_of_outputs
from optima.quantise.quality import MOST_DB
from tests.backends.snpe.models import Block, Cnn, graph_of, samples_of, traced

onnx = pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

ROOT = Path(__file__).resolve().parent.parent.parent


def data(cls: Any, count: int = 8) -> dict[str, np.ndarray[Any, Any]]:
    return {graph_of(cls).inputs[0]: np.stack([x.numpy() for (x,) in samples_of(cls, count)])}


@pytest.mark.parametrize(("bits", "least_db"), [(8, 30.0), (16, 45.0)])
@pytest.mark.parametrize("cls", [Cnn, Block])
def test_little_noise_is_left(cls: Any, bits: int, least_db: float) -> None:
    model = to_onnx(graph_of(cls))
    found = sqnr_of_outputs(model, quantise(prepare(model, data(cls)), data(cls), Scheme(bits)), data(cls))
    assert list(found) == list(graph_of(cls).outputs)
    assert min(found.values()) > least_db, found


@pytest.mark.parametrize("opset", [13, 17, 22])
def test_older_operator_sets_do(opset: int) -> None:
    model = to_onnx(graph_of(Block), opset)
    found = sqnr_of_outputs(model, quantise(prepare(model, data(Block)), data(Block), Scheme()), data(Block))
    assert min(found.values()) > 30.0, found


def test_weights_are_weights() -> None:
    """A transposed weight must not become a 16-bit activation."""
    model = onnx.load_model_from_string(
        quantise(prepare(to_onnx(graph_of(Block)), data(Block)), data(Block), Scheme(16))
    )
    assert not [n for n in model.graph.node if n.op_type == "Transpose" and "weight" in n.input[0]]
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    matmuls = {n for node in model.graph.node if node.op_type == "MatMul" for n in node.input}
    weights = [n for n in model.graph.node if n.output[0] in matmuls and n.input[0] in kinds]
    assert len(weights) == 4
    assert {kinds[n.input[0]] for n in weights} == {onnx.TensorProto.UINT8}


def test_the_bytes_depend_on_the_arguments_alone() -> None:
    script = (
        "import hashlib, sys; from tests.quantise.test_quantise import *; "
        "print(hashlib.sha256(quantise(prepare(to_onnx(graph_of(Cnn)), data(Cnn)), data(Cnn), Scheme())).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


class Masked(torch.nn.Module):
    """Attention by hand: scores that a constant mask forbids, and attention that is causal."""

    def __init__(self, low: float) -> None:
        super().__init__()
        self.low = low
        self.register_buffer("mask", torch.triu(torch.full((6, 6), low), 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.softmax(x @ x.transpose(1, 2) + self.mask, -1) @ x
        y = torch.softmax((y @ x.transpose(1, 2)).masked_fill(self.mask < 0, self.low), -1) @ y
        return torch.nn.functional.scaled_dot_product_attention(y, x, x, is_causal=True)


@pytest.mark.parametrize("low", [float("-inf"), torch.finfo(torch.float32).min, -1e9])
@pytest.mark.parametrize(("bits", "least_db"), [(8, 25.0), (16, 60.0)])
def test_a_mask_leaves_the_scores_their_range(low: float, bits: int, least_db: float) -> None:
    source = torch.Generator().manual_seed(0)
    rows = torch.randn((8, 2, 6, 4), generator=source)
    graph, _ = fold_constants(load_graph(traced(Masked(low).eval(), rows[0])))
    samples, model = {graph.inputs[0]: rows.numpy()}, to_onnx(graph)
    found = sqnr_of_outputs(model, quantise(prepare(model, samples), samples, Scheme(bits)), samples)
    assert min(found.values()) > least_db, found


def test_infinity_inside_is_refused_with_the_tensor() -> None:
    graph = Graph.parse("graph g(%a: f32[4]) -> (%c)\n  %b = exp_0: exp(%a) : f32[4]\n  %c = neg_1: neg(%b) : f32[4]\n")
    with pytest.raises(QuantisationError) as refused:
        quantise(to_onnx(graph), {"a": np.full((2, 4), 1000.0, np.float32)}, Scheme())
    assert "b" in {p.subject for p in refused.value.problems}


def test_decibels() -> None:
    ones = np.ones(100, np.float32)
    assert sqnr_db(ones, ones) == MOST_DB
    assert sqnr_db(ones * 0, ones) == -MOST_DB
    assert sqnr_db(ones, ones * np.float32(0.9)) == pytest.approx(20.0, abs=1e-4)


def test_noise_is_refused_with_the_output() -> None:
    refuse_noise({"tensor_1": 20.0}, 10.0)
    with pytest.raises(QuantisationError) as refused:
        refuse_noise({"tensor_1": 20.0, "tensor_2": 9.9}, 10.0)
    assert [p.subject for p in refused.value.problems] == ["tensor_2"]
    assert "activation_bits" in refused.value.hint
