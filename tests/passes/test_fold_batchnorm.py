"""Batch normalisation folds into what stands before it, or becomes a scale and a shift."""

from __future__ import annotations

import numpy as np
import pytest

from optima.graph_text import parse
from optima.passes import PassContext
from optima.passes.fold_batchnorm import fold_batchnorm
from optima.recipe import evaluate
from tests.passes.golden import check_golden, read_cases, with_values


@pytest.mark.parametrize("case", read_cases("fold_batchnorm"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("fold_batchnorm", case, lambda graph: fold_batchnorm(graph, PassContext(16)), 1e-5, update_golden)


@pytest.mark.parametrize("case", list(read_cases("fold_batchnorm"))[:5])
def test_the_recipes_make_the_values_from_pytorch_names(case: str) -> None:
    before = with_values(parse(read_cases("fold_batchnorm")[case][0]))
    after = fold_batchnorm(before, PassContext(16))
    named = {t.source: t.value for t in before.params}
    made = [t for t in after.params if t.recipe is not None]
    assert made
    for tensor in made:
        np.testing.assert_array_equal(evaluate(tensor.recipe, named), tensor.value)


def test_a_fold_that_is_not_finite_is_left_alone() -> None:
    text = read_cases("fold_batchnorm")["the convolution's result is read twice"][0]
    graph = with_values(parse(text))
    values = {t.name: t.value for t in graph.params} | {"var": np.full(3, -1, "float32")}
    after = fold_batchnorm(parse(text, values), PassContext(16))
    assert "batch_norm" in {op.op for op in after.ops}
