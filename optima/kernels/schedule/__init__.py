"""Schedule rules over ``tvm.s_tir.Schedule``: one file each, chosen by a block's ``schedule_rule`` annotation.

A rule takes the schedule, its anchor block, the target and the names of blocks that are scheduled already; it
returns the names of those that it scheduled, and raises ``NotApplicable`` where it does not fit. What no rule took
gets the ``generic`` schedule, and were even that to fail, stays as TE made it: slow, but right.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from optima.kernels.schedule import generic
from optima.kernels.schedule.attempts import apply_rule, attempt
from optima.kernels.schedule.structure import rule_of, stages

if TYPE_CHECKING:
    import tvm

    from optima.kernels.target import CpuTarget

#: rule name -> module; several computes may share a rule
RULES = {
    "attention": "attention",
    "conv_blocked": "conv_blocked",
    "depthwise_blocked": "depthwise_blocked",
    "pool_blocked": "depthwise_blocked",
    "gemm_packed": "gemm_packed",
    "gemm": "gemm",
    "conv": "conv",
    "row": "row",
}


def schedule(module: tvm.IRModule, target: CpuTarget) -> tvm.IRModule:
    """The module with its one function scheduled for ``target``. Never fails for want of a fitting rule."""
    import tvm

    sch = tvm.s_tir.Schedule(module)
    done: set[str] = set()
    for name, rule in _anchors(sch):
        if name not in done:
            sch, handled = attempt(sch, rule, partial(apply_rule, f"{__name__}.{RULES[rule]}", name, target, done))
            done |= handled
    sch, _ = attempt(sch, "generic", partial(_apply_generic, target, done))
    return sch.mod


def _anchors(sch: Any) -> list[tuple[str, str]]:
    """(block, rule) of the blocks that ask for more than the generic schedule, in program order."""
    named = [(sch.get(b).name_hint, rule_of(sch, b)) for b in stages(sch)]
    return [(name, rule) for name, rule in named if rule in RULES]


def _apply_generic(target: CpuTarget, done: set[str], sch: Any) -> set[str]:
    return generic.apply(sch, target, done)
