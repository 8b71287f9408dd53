"""Products by a constant matrix become linear."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.use_linear import use_linear
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("use_linear"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("use_linear", case, lambda graph: use_linear(graph, PassContext(16)), 1e-5, update_golden)
