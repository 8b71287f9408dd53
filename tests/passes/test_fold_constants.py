"""What no input reaches is computed once."""

from __future__ import annotations

import numpy as np
import pytest

from optima.graph_text import parse
from optima.passes.fold_constants import fold_constants
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("fold_constants"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("fold_constants", case, lambda graph: fold_constants(graph)[0], 0, update_golden, loses=True)


def test_what_has_no_value_stays() -> None:
    text, _ = read_cases("fold_constants")["a weight computed from others, and a reshape of one"]
    graph = parse(text, {"p": np.zeros((3, 2), "float32")})
    after, folded = fold_constants(graph)
    assert folded == ("reshape_2",)
    assert [op.name for op in after.ops] == ["mul_0", "linear_1", "add_3"]


def test_nothing_to_fold_gives_the_same_graph() -> None:
    graph = parse("graph g(%x: f32[2]) -> (%y)\n  %y = relu_0: relu(%x) : f32[2]")
    assert fold_constants(graph) == (graph, ())


def test_bfloat16_stays_in_its_bits() -> None:
    text = """
    graph g(%x: bf16[2]) -> (%y)
      %p = param "p" : bf16[2]
      %q = neg_0: neg(%p) : bf16[2]
      %y = add_1: add(%x, %q) : bf16[2]
    """
    after, folded = fold_constants(parse(text, {"p": np.array([0x3F80, 0xC000], "uint16")}))
    assert folded == ("neg_0",)
    np.testing.assert_array_equal(after.tensors["q"].value, np.array([0xBF80, 0x4000], "uint16"))
