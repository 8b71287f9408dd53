"""Schedule rules for GPUs: what runs in which workgroup and thread, and what is shared.

As on the CPU, a rule is chosen by its block's ``schedule_rule`` annotation, raises ``NotApplicable`` where it does
not fit, and what no rule took gets the ``generic`` schedule: threads over the elements, or over a fold.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from optima.kernels.gpu.schedule import generic
from optima.kernels.schedule.attempts import apply_rule, attempt
from optima.kernels.schedule.structure import name_of, rule_of, stages

if TYPE_CHECKING:
    import tvm

    from optima.kernels.gpu.target import GpuTarget

#: rule name -> module; several computes may share a rule
RULES = {"gemm": "gemm", "conv": "conv", "row": "row"}


#: how much of a schedule to attempt, from the most: every rule, threads over elements, nothing
ALL_RULES, GENERIC, SERIAL = range(3)


def schedule(module: tvm.IRModule, target: GpuTarget, effort: int = ALL_RULES) -> tvm.IRModule:
    """The module with its one function scheduled for ``target``. Never fails for want of a fitting rule.

    What a lesser ``effort`` leaves out is slower, and right: it is for functions that TVM cannot lower otherwise.
    """
    import tvm

    if effort == SERIAL:
        return module
    sch = tvm.s_tir.Schedule(module)
    done: set[str] = set()
    for name, rule in [(name_of(sch, b), rule_of(sch, b)) for b in stages(sch)]:
        if effort == ALL_RULES and rule in RULES and name not in done:
            sch, handled = attempt(sch, rule, partial(apply_rule, f"{__name__}.{RULES[rule]}", name, target, done))
            done |= handled
    sch, _ = attempt(sch, "inline", partial(generic.inline, done))
    for name in [name_of(sch, b) for b in stages(sch)]:
        # A stage may have been inlined into the one before it meanwhile.
        if name not in done and name in {name_of(sch, b) for b in stages(sch)}:
            sch, handled = attempt(sch, "generic", partial(generic.apply, name, target, done))
            done |= handled
    return sch.mod
