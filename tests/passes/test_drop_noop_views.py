"""Views that do nothing go away; borders keep their names and buffers."""

from __future__ import annotations

import pytest

from optima.graph_text import parse
from optima.ops.identity import keeps_bytes
from optima.ops.reference import infer_types
from optima.passes import PassContext
from optima.passes.drop_noop_views import drop_noop_views
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("drop_noop_views"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("drop_noop_views", case, lambda graph: drop_noop_views(graph, PassContext(16)), 0, update_golden)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('to(%x) {dtype="float32"}', True),
        ('to(%x) {dtype="float16"}', False),
        ("permute(%x) {dims=[0,2,1]}", True),
        ("permute(%x) {dims=[1,0,2]}", True),
        ("permute(%x) {dims=[2,1,0]}", False),
        ("slice(%x) {dim=0, start=0, end=2}", True),
        ("slice(%x) {dim=0, start=1, end=2}", False),
        ("select(%x) {dim=1, index=0}", True),
        ("select(%x) {dim=0, index=0}", False),
        ("expand(%x) {size=[2,1,3]}", True),
        ("expand(%x) {size=[2,2,3]}", False),
        ("flip(%x) {dims=[1]}", False),
        ("relu(%x)", False),
        ("zeros_like(%x)", False),
        ("clone(%x)", True),
        ("mul(%x) {other=1}", False),
        ("add(%x, %x)", False),
    ],
)
def test_what_keeps_the_bytes_is_asked_of_the_reference(line: str, expected: bool) -> None:
    graph = parse(f"graph g(%x: f32[2,1,3]) -> (%y)\n  %y = op_0: {line} : f32[1]")
    (op,) = graph.ops
    operand = graph.type_of("x")
    (output,) = infer_types(op, [operand] * len(op.inputs))
    assert keeps_bytes(op, operand, output) is expected
