"""Schedule rules over ``tvm.s_tir.Schedule``: one file each, chosen by a block's ``schedule_rule`` annotation.

A rule takes the schedule, its anchor block and the target, and raises ``NotApplicable`` where it does not fit; the
function is then scheduled by ``generic``, and were even that to fail, left as TE made it: slow, but right.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from optima.kernels.schedule import generic
from optima.kernels.schedule.structure import NotApplicable, rule_of, stages

if TYPE_CHECKING:
    import tvm

    from optima.kernels.target import CpuTarget

_LOG = logging.getLogger(__name__)

#: rule name -> module; several computes may share a rule
RULES = {
    "conv_blocked": "conv_blocked",
    "depthwise_blocked": "depthwise_blocked",
    "pool_blocked": "depthwise_blocked",
    "gemm_packed": "gemm_packed",
    "gemm": "gemm",
    "conv": "conv",
    "row": "row",
    "transpose": "transpose",
}


def schedule(module: tvm.IRModule, target: CpuTarget) -> tvm.IRModule:
    """The module with its one function scheduled for ``target``. Never fails for want of a fitting rule."""
    import tvm

    rule = _wanted(module)
    attempts: dict[str, Callable[[Any], None]] = {}
    if rule is not None:
        attempts[rule] = lambda sch: _apply_rule(sch, rule, target)
    attempts["generic"] = lambda sch: generic.apply(sch, target)
    for name, attempt in attempts.items():
        sch = tvm.s_tir.Schedule(module)
        try:
            attempt(sch)
        except NotApplicable as reason:
            _LOG.debug("%s: %s", name, reason)
        # TVM's primitives refuse with many exception types; whichever it is, the next attempt is still right.
        except Exception as error:  # noqa: BLE001
            _LOG.warning("schedule %s failed on a kernel, a slower one is used: %s", name, error)
        else:
            return sch.mod
    return module


def _wanted(module: tvm.IRModule) -> str | None:
    """The rule of the one block that asks for more than the generic schedule."""
    import tvm

    sch = tvm.s_tir.Schedule(module)
    named = [rule_of(sch, b) for b in stages(sch)]
    wanted = [name for name in named if name in RULES]
    return wanted[0] if len(set(wanted)) == 1 or (wanted and wanted[0] == "row") else None


def _apply_rule(sch: Any, rule: str, target: CpuTarget) -> None:
    anchor = next(b for b in stages(sch) if rule_of(sch, b) == rule)
    importlib.import_module(f"optima.kernels.schedule.{RULES[rule]}").apply(sch, anchor, target)
