"""Every operator case that the backend claims, on a device: a fixed slice of both flavours here, all as ``slow``."""

from __future__ import annotations

import pytest

from conformance.device_routes import LAVAPIPE_FAULTS
from optima.backends.gpu_route.errors import DeviceLacks
from optima.backends.spirv.meta import Flavour
from optima.ops.entry import No
from tests.backends.spirv.harness import FLAVOURS, answers, options, run_graph
from tests.ops.case import OpCase
from tests.ops.harness import compare, reference
from tests.ops.test_cases import CASES

#: ops of which each family's way through the printer and the schedules is seen
_SLICE = (
    "relu", "gelu", "silu", "add", "div", "pow", "where", "eq", "exp", "log", "sin", "tanh", "floor", "fmod",
    "softmax", "layer_norm", "sum", "mean", "amax", "argmax", "cumsum", "conv2d", "linear", "matmul", "max_pool2d",
    "avg_pool2d", "cat", "pad", "permute", "embedding", "gather", "scatter", "sort", "bitwise_xor", "remainder",
)  # fmt: skip


def _check(case: OpCase, flavour: Flavour) -> None:
    answer = next(iter(answers(case.graph(), options(flavour)).values()))
    if isinstance(answer, No):
        pytest.skip(f"refused: {answer.reason}")
    graph, values = case.graph(), case.values(0)
    try:
        found = run_graph(graph, values, flavour)
    except DeviceLacks as lacking:
        pytest.skip(str(lacking))  # more rounds of a loop than a software device makes
    for name, want, got in zip(graph.outputs, reference(graph, values), found, strict=True):
        compare(name, graph.type_of(name), got, want, case.tolerance)


def _slice() -> list[OpCase]:
    """The first and the last case of each op of the slice, of the dtypes that every device has."""
    mine = {op: [c for c in CASES if c.op == op and _is_plain(c)] for op in _SLICE}
    return [case for cases in mine.values() for case in {c.id: c for c in (cases[0], cases[-1])}.values()]


def _is_plain(case: OpCase) -> bool:
    return all(0 not in a.shape for a in case.args) and {a.dtype for a in case.args} <= {
        "float32",
        "int32",
        "int64",
        "bool",
    }


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("case", _slice(), ids=lambda c: c.id)
def test_a_kernel_gives_torchs_answer(case: OpCase, flavour: Flavour) -> None:
    _check(case, flavour)


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_every_claimed_case_gives_torchs_answer(case: OpCase, flavour: Flavour) -> None:
    if flavour == "shader" and (excuse := LAVAPIPE_FAULTS.get(case.id)):
        pytest.xfail(excuse)
    _check(case, flavour)
