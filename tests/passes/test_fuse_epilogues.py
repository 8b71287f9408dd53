"""Which ops share a kernel, and that groups never form a cycle."""

from __future__ import annotations

import pytest

from devices import InternalError
from optima.graph_text import parse
from optima.passes import PassContext, groups_of
from optima.passes.fuse_epilogues import fuse_epilogues
from tests.passes.golden import check_golden, read_cases


@pytest.mark.parametrize("case", read_cases("fuse_epilogues"))
def test_golden(case: str, update_golden: bool) -> None:
    check_golden("fuse_epilogues", case, lambda graph: fuse_epilogues(graph, PassContext(16)), 0, update_golden)


def test_groups_of_refuses_a_kernel_that_is_torn_apart() -> None:
    text = """
    graph g(%x: f32[2]) -> (%c)
      %a = relu_0: relu(%x) : f32[2] !k0
      %b = relu_1: relu(%a) : f32[2] !k1
      %c = relu_2: relu(%b) : f32[2] !k0
    """
    with pytest.raises(InternalError, match="kernel k0 do not stand side by side"):
        groups_of(parse(text))


def test_a_kernel_reads_at_most_twelve_tensors() -> None:
    names = [f"x{i}" for i in range(30)]
    inputs = ", ".join(f"%{n}: f32[4]" for n in names)
    lines = [f"graph g({inputs}) -> (%s29)", "  %s0 = relu_0: relu(%x0) : f32[4]"]
    lines += [f"  %s{i} = add_{i}: add(%s{i - 1}, %x{i}) : f32[4]" for i in range(1, 30)]
    graph = fuse_epilogues(parse("\n".join(lines)), PassContext(16))
    parts = [graph.extract(kernel, ops) for kernel, ops in groups_of(graph)]
    assert all(len(part.inputs) <= 12 for part in parts)
    assert len(parts) == 3
