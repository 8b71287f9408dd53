"""docs/support.md is what the entries say. ``optima support > docs/support.md`` rewrites it."""

from __future__ import annotations

from pathlib import Path

from optima.ops.support import support_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "support.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == support_table()
