"""Every operator case that has a TFLite form, as a float model under LiteRT and beside torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph
from optima.ops import all_entries, entry_of
from optima.ops.entry import OpEntry, Tflite
from optima.tflite_export import tflite_answers, to_tflite
from tests.ops.case import OpCase
from tests.ops.harness import compare, reference
from tests.ops.test_cases import CASES

pytest.importorskip("tflite", reason="the extra optima[tpu] is not installed")
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="the extra optima[tpu] is not installed")

Values = Mapping[str, np.ndarray[Any, Any]]
ROUTED = [e for e in all_entries() if isinstance(e.tflite, Tflite)]


def graph_of(case: OpCase) -> Graph:
    """The case's graph; operands that the TFLite form needs as data are parameters."""
    entry = entry_of(case.op)
    assert entry is not None
    assert isinstance(entry.tflite, Tflite)
    return case.graph_with_parameters(entry.tflite.constants)


@cache
def taken() -> tuple[OpCase, ...]:
    """The cases that can be written."""
    found = []
    for case in (case.finite() for case in CASES):
        entry = entry_of(case.op)
        if entry is not None and isinstance(entry.tflite, Tflite):
            graph = graph_of(case)
            if tflite_answers(graph, [graph.ops[0].name], "TPU")[graph.ops[0].name]:
                found.append(case)
    return tuple(found)


def run(data: bytes, graph: Graph, values: Values) -> list[np.ndarray[Any, Any]]:
    """The model's outputs under LiteRT, in order."""
    model = interpreter.Interpreter(model_content=data, num_threads=1)
    model.allocate_tensors()
    for detail, name in zip(model.get_input_details(), graph.inputs, strict=True):
        model.set_tensor(detail["index"], values[name])
    model.invoke()
    return [model.get_tensor(detail["index"]) for detail in model.get_output_details()]


def difference(case: OpCase) -> str:
    """How LiteRT's answer differs from torch's, or ""."""
    graph, values = graph_of(case), case.values()
    got = run(to_tflite(graph), graph, values)
    try:
        for name, want, have in zip(graph.outputs, reference(graph, dict(values)), got, strict=True):
            compare(name, graph.type_of(name), have, want, max(case.tolerance, 1e-5))
    except AssertionError as error:
        return f"{case.id}: {error}"
    return ""


@pytest.mark.parametrize("op", [e.name for e in ROUTED])
def test_the_tflite_form_gives_torchs_answer(op: str) -> None:
    differences = [d for case in taken() if case.op == op and (d := difference(case))]
    assert not differences


@pytest.mark.parametrize("entry", ROUTED, ids=lambda e: e.name)
def test_each_tflite_route_has_a_case(entry: OpEntry) -> None:
    assert [case for case in taken() if case.op == entry.name]
