"""Schedule rules for GPUs: what runs in which workgroup and thread, and what is shared.

As on the CPU, a rule is chosen by its block's ``schedule_rule`` annotation, raises ``NotApplicable`` where it does
not fit, and what no rule took gets the ``generic`` schedule: threads over the elements, or over a fold.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.kernels.gpu.schedule import generic
from optima.kernels.schedule.structure import NotApplicable, name_of, rule_of, stages

if TYPE_CHECKING:
    import tvm

    from optima.kernels.gpu.target import GpuTarget

_LOG = logging.getLogger(__name__)

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
            sch, handled = _attempt(sch, rule, partial(_apply, name, rule, target, done))
            done |= handled
    sch, _ = _attempt(sch, "inline", partial(generic.inline, done))
    for name in [name_of(sch, b) for b in stages(sch)]:
        # A stage may have been inlined into the one before it meanwhile.
        if name not in done and name in {name_of(sch, b) for b in stages(sch)}:
            sch, handled = _attempt(sch, "generic", partial(generic.apply, name, target, done))
            done |= handled
    return sch.mod


def _apply(name: str, rule: str, target: GpuTarget, done: set[str], sch: Any) -> set[str]:
    apply = importlib.import_module(f"optima.kernels.gpu.schedule.{RULES[rule]}").apply
    handled: set[str] = apply(sch, sch.get_sblock(name), target, frozenset(done))
    return handled


def _attempt(sch: Any, rule: str, step: Callable[[Any], set[str]]) -> tuple[Any, set[str]]:
    """The schedule after ``step`` on a copy of it, and the blocks it handled; as it was where the step fails."""
    trial = sch.copy()
    try:
        return trial, step(trial)
    except NotApplicable as reason:
        _LOG.debug("%s: %s", rule, reason)
    # TVM's primitives refuse with many exception types; whichever it is, the schedule before it is still right.
    except Exception as error:  # noqa: BLE001
        _LOG.warning("the GPU schedule rule %s failed, a slower one is used: %s", rule, _first_line(error))
    return sch, set()


def _first_line(error: Exception) -> str:
    """TVM's reason: the line behind the function that it prints, or all of a short message."""
    lines = [line for line in str(error).splitlines() if line.startswith(("Error", "ScheduleError", "ValueError"))]
    return (lines or str(error).splitlines() or [""])[-1][:300]
