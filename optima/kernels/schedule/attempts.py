"""Trying a rule on a copy of the schedule: one that does not fit, or that TVM refuses, leaves nothing behind."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from optima.kernels.schedule.structure import NotApplicable

_LOG = logging.getLogger(__name__)


def attempt(sch: Any, rule: str, step: Callable[[Any], set[str]]) -> tuple[Any, set[str]]:
    """The schedule after ``step`` on a copy of it, and the blocks it handled; as it was where the step fails."""
    trial = sch.copy()
    try:
        return trial, step(trial)
    except NotApplicable as reason:
        _LOG.debug("%s: %s", rule, reason)
    # TVM's primitives refuse with many exception types; whichever it is, the schedule before it is still right.
    except Exception as error:  # noqa: BLE001
        _LOG.warning("the schedule rule %s failed, a slower one is used: %s", rule, _reason(error))
    return sch, set()


def apply_rule(module: str, block: str, target: Any, done: set[str], sch: Any) -> set[str]:
    """The blocks that the rule in ``module`` handles, ``block`` being its anchor and those in ``done`` scheduled."""
    handled: set[str] = importlib.import_module(module).apply(sch, sch.get_sblock(block), target, frozenset(done))
    return handled


def _reason(error: Exception) -> str:
    """TVM puts the whole function before or behind the reason: the last line that begins as one, else the last."""
    lines = str(error).rstrip().splitlines() or [""]
    reasons = [line for line in lines if line.startswith(("Error", "ScheduleError", "ValueError"))]
    return (reasons or lines)[-1][:300]
