"""The attention schedule: it applies on every vector width, reads through views, and leaves no stage behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernels.harness import TARGETS, chain, check, one_op, target_named

OP = "scaled_dot_product_attention"
ROLES = ("query", "key", "value")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("rows", "columns", "depth", "features"),
    [(24, 32, 16, 16), (25, 33, 16, 16), (1, 40, 8, 8), (13, 17, 20, 23), (197, 197, 64, 64), (3, 16, 4, 4)],
)
def test_attention_in_blocks(rows: int, columns: int, depth: int, features: int, name: str, caplog: Any) -> None:
    shapes = {"query": (2, 3, rows, depth), "key": (2, 3, columns, depth), "value": (2, 3, columns, features)}
    check(one_op(OP, shapes), target_named(name), caplog)


@pytest.mark.parametrize("attrs", [{}, {"is_causal": True}])
def test_heads_that_are_a_view_of_one_projection(attrs: dict[str, Any], caplog: Any) -> None:
    """``[batch, length, heads, depth]`` seen as ``[batch, heads, length, depth]``, before and behind the products."""
    shapes = dict.fromkeys(ROLES, (2, 25, 3, 16))
    swap = {"dim0": 1, "dim1": 2}
    steps: list[Any] = [("transpose", f"{r}_heads", (("self", r),), swap) for r in ROLES]
    steps.append((OP, "mixed", tuple((r, f"{r}_heads") for r in ROLES), attrs))
    steps.append(("transpose", "tokens", (("self", "mixed"),), swap))
    steps.append(("reshape", "out", (("self", "tokens"),), {"shape": (2, 25, 48)}))
    check(chain(steps, shapes, ["out"]), target_named(""), caplog)


def test_a_result_that_is_computed_with(caplog: Any) -> None:
    shapes = {**dict.fromkeys(ROLES, (2, 3, 25, 20)), "other": (2, 3, 25, 20)}
    steps: list[Any] = [
        ("relu", "positive", (("self", "query"),), {}),
        (OP, "mixed", (("query", "positive"), ("key", "key"), ("value", "value")), {}),
        ("add", "out", (("self", "mixed"), ("other", "other")), {}),
    ]
    check(chain(steps, shapes, ["out"]), target_named(""), caplog)


def test_two_attentions_in_one_function(caplog: Any) -> None:
    shapes = dict.fromkeys(ROLES, (2, 3, 25, 16))
    steps: list[Any] = [
        (OP, "first", tuple((r, r) for r in ROLES), {}),
        (OP, "out", (("query", "first"), ("key", "key"), ("value", "value")), {}),
    ]
    check(chain(steps, shapes, ["out"]), target_named(""), caplog)
