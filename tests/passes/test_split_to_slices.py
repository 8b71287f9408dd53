"""Splits become slices."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.split_to_slices import split_to_slices
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("split_to_slices"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("split_to_slices", case, lambda graph: split_to_slices(graph, PassContext(16)), 0.0, update_golden)
