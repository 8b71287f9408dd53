"""QDQ models: quality on a network and a transformer block, equal bytes, parameters as weights, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph
from optima.onnx_export import to_onnx
from optima.quantise import QuantisationError, Scheme, quantise, refuse_noise, sqnr_db, sqnr_of_outputs
from optima.quantise.quality import MOST_DB
from tests.backends.snpe.models import Block, Cnn, graph_of, samples_of

onnx = pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

ROOT = Path(__file__).resolve().parent.parent.parent


def data(cls: Any, count: int = 8) -> dict[str, np.ndarray[Any, Any]]:
    return {graph_of(cls).inputs[0]: np.stack([x.numpy() for (x,) in samples_of(cls, count)])}


@pytest.mark.parametrize(("bits", "least_db"), [(8, 30.0), (16, 45.0)])
@pytest.mark.parametrize("cls", [Cnn, Block])
def test_little_noise_is_left(cls: Any, bits: int, least_db: float) -> None:
    model = to_onnx(graph_of(cls))
    found = sqnr_of_outputs(model, quantise(model, data(cls), Scheme(bits)), data(cls))
    assert list(found) == list(graph_of(cls).outputs)
    assert min(found.values()) > least_db, found


@pytest.mark.parametrize("opset", [13, 17, 22])
def test_older_operator_sets_do(opset: int) -> None:
    model = to_onnx(graph_of(Block), opset)
    found = sqnr_of_outputs(model, quantise(model, data(Block), Scheme()), data(Block))
    assert min(found.values()) > 30.0, found


def test_weights_are_weights() -> None:
    """A transposed weight must not become a 16-bit activation."""
    model = onnx.load_model_from_string(quantise(to_onnx(graph_of(Block)), data(Block), Scheme(16)))
    assert not [n for n in model.graph.node if n.op_type == "Transpose" and "weight" in n.input[0]]
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    matmuls = {n for node in model.graph.node if node.op_type == "MatMul" for n in node.input}
    weights = [n for n in model.graph.node if n.output[0] in matmuls and n.input[0] in kinds]
    assert len(weights) == 4
    assert {kinds[n.input[0]] for n in weights} == {onnx.TensorProto.UINT8}


def test_the_bytes_depend_on_the_arguments_alone() -> None:
    script = (
        "import hashlib, sys; from tests.quantise.test_quantise import *; "
        "print(hashlib.sha256(quantise(to_onnx(graph_of(Cnn)), data(Cnn), Scheme())).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


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
