"""Ops that no output needs go away."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.drop_unused_ops import drop_unused_ops
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("drop_unused_ops"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("drop_unused_ops", case, lambda graph: drop_unused_ops(graph, PassContext(16)), 0, update_golden)
