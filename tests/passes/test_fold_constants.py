"""What no input reaches is computed once."""

from __future__ import annotations

import pytest

from optima.passes.fold_constants import fold_constants
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("fold_constants"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden(
        "fold_constants", case, lambda graph: fold_constants(graph)[0], 0, update_golden, loses=True
    )
