"""Every operator case that has an ONNX form, under ONNX Runtime and beside torch, in three versions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph
from optima.onnx_export import NEWEST_OPSET, OLDEST_OPSET, onnx_answers, to_onnx
from optima.ops import all_entries, entry_of
from optima.ops.entry import Onnx, OpEntry
from tests.ops.case import OpCase
from tests.ops.harness import compare, reference
from tests.ops.test_cases import CASES

pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

#: the oldest, the one that MYRIAD's importer takes, and the newest
OPSETS = (OLDEST_OPSET, 13, NEWEST_OPSET)
Values = Mapping[str, np.ndarray[Any, Any]]


def graph_of(case: OpCase) -> Graph:
    """The case's graph; operands that the ONNX form needs as data are parameters."""
    entry = entry_of(case.op)
    assert entry is not None
    assert isinstance(entry.onnx, Onnx)
    return case.graph_with_parameters(entry.onnx.constants)


@cache
def taken(opset: int) -> tuple[OpCase, ...]:
    """The cases that can be written in this version."""
    found = []
    for case in (case.finite() for case in CASES):
        entry = entry_of(case.op)
        if entry is not None and isinstance(entry.onnx, Onnx):
            graph = graph_of(case)
            if onnx_answers(graph, [graph.ops[0].name], opset)[graph.ops[0].name]:
                found.append(case)
    return tuple(found)


def run(data: bytes, values: Values) -> list[np.ndarray[Any, Any]]:
    """The outputs under ONNX Runtime, without its optimisations: the model as it is written."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: values[i.name] for i in session.get_inputs()}
    return [np.asarray(result) for result in session.run(None, feeds)]


def difference(case: OpCase, opset: int) -> str:
    """How ONNX Runtime's answer differs from torch's, or ""."""
    graph, values = graph_of(case), case.values()
    got = run(to_onnx(graph, opset), values)
    wanted = reference(graph, dict(values))
    if case.op == "topk":
        got, wanted = _in_order(case, values, got), _in_order(case, values, wanted)
    try:
        for name, want, have in zip(graph.outputs, wanted, got, strict=True):
            compare(name, graph.type_of(name), have, want, max(case.tolerance, 1e-5))
    except AssertionError as error:
        return f"{case.id}: {error}"
    return ""


def _in_order(case: OpCase, values: Values, results: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Which of equal elements topk picks is open: its values, sorted, and what its indices point to."""
    dim = case.attrs.get("dim", -1)
    pointed = np.take_along_axis(values["self"], results[1], dim)
    np.testing.assert_array_equal(pointed, results[0])
    return [np.sort(results[0], dim), np.zeros_like(results[1])]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("op", sorted({e.name for e in all_entries() if isinstance(e.onnx, Onnx)}))
def test_the_onnx_form_gives_torchs_answer(op: str, opset: int) -> None:
    cases = [case for case in taken(opset) if case.op == op]
    differences = [d for case in cases if (d := difference(case, opset))]
    assert not differences


@pytest.mark.parametrize("entry", [e for e in all_entries() if isinstance(e.onnx, Onnx)], ids=lambda e: e.name)
def test_each_onnx_route_has_a_case(entry: OpEntry) -> None:
    assert [case for case in taken(NEWEST_OPSET) if case.op == entry.name]
