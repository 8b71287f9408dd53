"""Whether what a device computed is torch's answer: within a case's tolerance, or by its signal to noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optima.graph import Graph, TensorType
from optima.ops.reference import call_reference, to_numpy, to_torch
from optima.quantise import sqnr_db
from tests.ops.case import OpCase
from tests.ops.harness import compare

Array = np.ndarray[Any, Any]
#: signal to quantisation noise that a kind with integers inside must reach, in dB
LEAST_SQNR_DB = 20.0
#: below this a quantised result is refused when it is compiled, and wrong when only the device has it
LEAST_NOISY_DB = 8.0
#: what a fault begins with that is no more noise than eight bits make of some data
ONLY = "only"


def wanted(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    """torch's answer to the one op of a graph, for operands by tensor name."""
    (op,) = graph.ops
    operands = [to_torch(values[n], graph.type_of(n).dtype) for n in op.inputs]
    return [to_numpy(result) for result in call_reference(op, operands)]


def difference(graph: Graph, case: OpCase, values: Mapping[str, Array], got: Mapping[str, Array]) -> str:
    """How results by tensor name differ from torch's, or ""."""
    answers = dict(zip(graph.outputs, wanted(graph, values), strict=True))
    if case.op == "topk":
        return _topk_difference(case, answers[graph.outputs[0]], got, graph)
    for name, want in answers.items():
        kind = graph.type_of(name)
        try:
            compare(name, TensorType(kind.shape, kind.dtype), got[name], want, max(case.tolerance, 1e-5))
        except AssertionError as error:
            return " ".join(str(error).split())[:300]
    return ""


def noise(graph: Graph, rows: Sequence[Mapping[str, Array]], got: Sequence[Mapping[str, Array]]) -> str:
    """Over samples: too little signal to noise; "only ..." for as little as eight bits may leave; or ""."""
    answers = [wanted(graph, row) for row in rows]
    for k, name in enumerate(graph.outputs):
        ratio = sqnr_db(np.stack([w[k] for w in answers]), np.stack([g[name] for g in got]))
        if not ratio >= LEAST_NOISY_DB:
            return f"{name}: {ratio:.1f} dB"
        if ratio < LEAST_SQNR_DB:
            return f"{ONLY} {ratio:.1f} dB at {name}"
    return ""


def _topk_difference(case: OpCase, values: Array, got: Mapping[str, Array], graph: Graph) -> str:
    """Which of equal elements are picked, and their order, is open."""
    dim = case.attrs.get("dim", -1)
    have, places = (np.atleast_1d(got[name]) for name in graph.outputs)
    values = np.atleast_1d(values)
    pointed = np.take_along_axis(np.atleast_1d(case.values()["self"]), places.astype(np.int64), dim)
    same = np.array_equal(np.sort(have, dim), np.sort(values, dim), equal_nan=True)
    return "" if same and np.array_equal(pointed, have, equal_nan=True) else "other elements than the largest"
