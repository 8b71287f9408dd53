"""Random modules: whatever of them can be written, written as one model, beside torch. Finds faults of the layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optima.graph import Op
from optima.graph_io import load_graph
from optima.ops.reference import run_graph, to_numpy
from optima.passes.fold_constants import fold_constants
from optima.tflite_export import tflite_answers, to_tflite
from tests.models.random_modules.grammar import make
from tests.tflite_export.test_cases import run
from torch2nx.converter import Torch2GraphConverter

pytest.importorskip("tflite", reason="the extra optima[tpu] is not installed")

#: of an output's scale: some modules subtract what is nearly equal
TOLERANCE = 1e-3


@pytest.mark.parametrize("seed", range(24))
def test_what_can_be_written_gives_torchs_answer(seed: int) -> None:
    case = make(seed)
    traced = Torch2GraphConverter().convert(model=case.module(), fake_torch_data=list(case.inputs), gpu=False)
    graph, _ = fold_constants(load_graph(traced))
    answers = tflite_answers(graph, [op.name for op in graph.ops], "TPU")
    part = graph.extract("part", [op for op in graph.ops if answers[op.name]])
    values = {name: to_numpy(value) for name, value in zip(graph.inputs, case.inputs, strict=True)}

    def keep(op: Op, results: Any) -> None:
        values.update({n: to_numpy(r).copy() for n, r in zip(op.outputs, results, strict=True)})

    run_graph(graph, dict(values), watch=keep)
    if not part.outputs or not all(np.isfinite(values[n]).all() for n in (*part.inputs, *part.outputs)):
        pytest.skip("nothing of it can be written, or its values are not finite")
    found = run(to_tflite(part), part, {n: np.ascontiguousarray(values[n]) for n in part.inputs})
    for name, got in zip(part.outputs, found, strict=True):
        scale = max(float(np.abs(values[name]).max()), 1e-30)
        assert float(np.abs(got - values[name]).max()) <= TOLERANCE * scale, name
