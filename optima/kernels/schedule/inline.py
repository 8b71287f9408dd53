"""Which intermediate stages are computed again where they are read, instead of being stored."""

from __future__ import annotations

from typing import Any

from optima.kernels.schedule.expressions import body_cost
from optima.kernels.schedule.structure import is_output, is_spatial, work_of, written_shape

#: how many times a stage of plain arithmetic may be evaluated per element before storing it is cheaper
_CHEAP_REPEATS = 4


def inline_cheap(sch: Any, blocks: list[Any]) -> None:
    """Inline those of ``blocks`` whose repetition costs less than their memory traffic."""
    for block in blocks:
        if is_spatial(sch, block) and not is_output(sch, block) and _worth_inlining(sch, block):
            sch.compute_inline(block)


def _worth_inlining(sch: Any, block: Any) -> bool:
    consumers = list(sch.get_consumers(block))
    if not consumers:
        return False
    elements = 1
    for d in written_shape(sch, block):
        elements *= d
    repeats = sum(work_of(sch, c) for c in consumers) / max(1, elements)
    calls, operations = body_cost(sch.get(block).body)
    if operations == 0 and calls == 0:
        return True
    return repeats <= 1 or (calls == 0 and repeats <= _CHEAP_REPEATS)

