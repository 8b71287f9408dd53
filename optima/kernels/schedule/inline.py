"""Which intermediate stages are computed again where they are read, instead of being stored."""

from __future__ import annotations

from typing import Any

from optima.kernels.schedule.expressions import body_cost
from optima.kernels.schedule.structure import is_output, is_spatial, name_of, stages, work_of, written_shape

#: how many times a stage of plain arithmetic may be evaluated per element before storing it is cheaper
_CHEAP_REPEATS = 4


def inline_cheap(sch: Any, done: set[str]) -> None:
    """Inline stages whose repetition costs less than their memory traffic, but nothing from or into ``done`` ones."""
    for block in stages(sch):
        if name_of(sch, block) in done or any(name_of(sch, c) in done for c in sch.get_consumers(block)):
            continue
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

