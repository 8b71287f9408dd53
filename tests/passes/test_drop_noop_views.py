"""Views that do nothing go away; borders keep their names and buffers."""

from __future__ import annotations

import pytest

from optima.passes import PassContext
from optima.passes.drop_noop_views import drop_noop_views
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("drop_noop_views"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden(
        "drop_noop_views", case, lambda graph: drop_noop_views(graph, PassContext(16)), 0, update_golden
    )
