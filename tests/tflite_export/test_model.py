"""Whole graphs as float TFLite models: names, pass-throughs, refusals, equal bytes."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from devices import UserError
from optima.graph import Graph
from optima.ops.reference import run_graph
from optima.tflite_export import TfliteMissing, emit, host_ops, tflite_answers, to_tflite
from tests.tflite_export.test_cases import run
from tests.tflite_export.test_layout import F, graph_of
from torch2nx.errors import GraphError

pytest.importorskip("tflite", reason="the extra optima[tpu] is not installed")


@pytest.fixture(scope="module")
def net() -> Graph:
    return graph_of(lambda m, x: m.head(F.silu(m.conv(x)).mean((2, 3))))


def test_a_network_runs_as_torch_runs_it(net: Graph) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8), dtype=np.float32)
    wanted = run_graph(net, {net.inputs[0]: x})
    for name, result in zip(net.outputs, run(to_tflite(net), net, {net.inputs[0]: x}), strict=True):
        np.testing.assert_allclose(result, wanted[name], atol=1e-5)


def test_borders_have_the_names_and_shapes_of_the_graph(net: Graph) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=to_tflite(net))
    signature = model.get_signature_list()["serving_default"]
    assert signature == {"inputs": list(net.inputs), "outputs": list(net.outputs)}
    assert [tuple(d["shape"]) for d in model.get_input_details()] == [(1, 3, 8, 8)]


def test_the_bytes_depend_on_the_graph_alone(net: Graph) -> None:
    assert to_tflite(net) == to_tflite(net)


def test_results_that_are_operands_or_twice_the_same_keep_their_names() -> None:
    graph = Graph.parse(
        "graph g(%a: f32[3,4]) -> (%b, %c, %d)\n  %b = detach_0: detach(%a) : f32[3,4]\n"
        "  %c = t_1: t(%b) : f32[4,3]\n  %d = clone_2: clone(%c) : f32[4,3]\n"
    )
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for result, wanted in zip(run(to_tflite(graph), graph, {"a": x}), (x, x.T, x.T), strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_what_cannot_be_written_is_refused_whole() -> None:
    graph = Graph.parse(
        "graph g(%a: f32[3]) -> (%c)\n  %b = digamma_0: digamma(%a) : f32[3]\n  %c = lgamma_1: lgamma(%b) : f32[3]\n"
    )
    with pytest.raises(GraphError) as refused:
        emit(graph)
    assert [p.subject for p in refused.value.problems] == ["digamma_0", "lgamma_1"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("%b = neg_0: neg(%a) : i64[3]", "int64 is not a dtype of TPU"),
        ("%b = neg_0: neg(%a) : f16[3]", "float16 is not a dtype of TPU"),
        ("%b = neg_0: neg(%a) : f32[0]", "without elements"),
        ("%b = neg_0: neg(%a) : f32[]", "0-d"),
        ("%b = neg_0: neg(%a) : f32[1,1,1,1,1,2]", "6 axes"),
        ("%b = exp_0: exp(%a) : f32[3]", "no TFLite emission"),
        ("%b = clamp_min_0: clamp_min(%a) {min=-inf} : f32[3]", "not finite"),
    ],
)
def test_refusals_name_the_reason(line: str, reason: str) -> None:
    kind = line.rpartition(": ")[2]
    graph = Graph.parse(f"graph g(%a: {kind}) -> (%b)\n  {line}\n")
    (answer,) = tflite_answers(graph, [graph.ops[0].name], "TPU").values()
    assert not answer
    assert reason in answer.reason  # type: ignore[union-attr]


def test_parameters_that_are_not_finite_are_refused(net: Graph) -> None:
    broken = {
        n: replace(t, value=np.full_like(t.value, np.nan)) if t.value is not None else t for n, t in net.tensors.items()
    }
    with pytest.raises(UserError, match="finite"):
        to_tflite(replace(net, tensors=broken))


def test_what_the_host_runs_is_counted() -> None:
    assert host_ops(emit(graph_of(lambda m, x: F.gelu(m.conv(x)).sqrt()))) == {"GELU": 1, "SQRT": 1}
    assert host_ops(emit(graph_of(lambda m, x: F.gelu(m.conv(x), approximate="tanh")))) == {}


def test_a_missing_package_says_what_to_install(net: Graph, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(TfliteMissing, match="tflite is not installed"):
        to_tflite(net)


def test_a_batch_of_constant_matrices_is_refused() -> None:
    graph = Graph.parse(
        'graph g(%a: f32[4,5,9]) -> (%c)\n  %w = param "w" : f32[4,9,17]\n  %c = bmm_0: bmm(%a, %w) : f32[4,5,17]\n'
    )
    found = tflite_answers(graph, ["bmm_0"], "TPU")["bmm_0"]
    assert not found and "constant matrices" in found.reason
