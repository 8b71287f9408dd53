"""Batch normalisation folds into what stands before it, or becomes a scale and a shift."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.fold_batchnorm import fold_batchnorm
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("fold_batchnorm"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden(
        "fold_batchnorm", case, lambda graph: fold_batchnorm(graph, PassContext(16)), 1e-5, update_golden
    )
