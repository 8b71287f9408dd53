"""No kernel is asked to write a tensor without elements."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.skip_empty import skip_empty
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("skip_empty"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("skip_empty", case, lambda graph: skip_empty(graph, PassContext(16)), 0, update_golden, loses=True)
