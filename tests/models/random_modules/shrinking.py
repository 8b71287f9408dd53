"""Shrinking turns a step's result into an input and drops what is not needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from tests.models.random_modules.programs import Case, Program


def without_dead(case: Case) -> Case:
    """The case without steps and inputs that no output needs."""
    n = len(case.inputs)
    live = set(case.returned)
    for i in reversed(range(len(case.steps))):
        if i + n in live:
            live.update(case.steps[i].reads)
    kept = [i for i in range(n + len(case.steps)) if i in live]
    number = {old: new for new, old in enumerate(kept)}
    steps = [replace(s, reads=tuple(number[r] for r in s.reads)) for i, s in enumerate(case.steps) if i + n in live]
    inputs = [t for i, t in enumerate(case.inputs) if i in live]
    return Case(tuple(inputs), tuple(steps), tuple(number[r] for r in case.returned))


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A case with fewest steps that still fails: outputs are dropped and results of steps become inputs."""
    for i in reversed(range(len(case.returned))):
        if len(case.returned) > 1:
            fewer = without_dead(replace(case, returned=case.returned[:i] + case.returned[i + 1 :]))
            if i < len(case.returned) and fails(fewer):
                case = fewer
    i = 0
    while i < len(case.steps):
        cut = _cut(case, i)
        if cut is not None and fails(cut):
            case, i = cut, 0
        else:
            i += 1
    for i in reversed(range(len(case.steps))):  # end earlier: return what a step reads
        shorter = without_dead(replace(case, returned=(len(case.inputs) + i,)))
        if len(shorter.steps) < len(case.steps) and fails(shorter):
            case = shorter
    return case


def _cut(case: Case, i: int) -> Case | None:
    """The case with the result of step ``i`` as one more input."""
    n = len(case.inputs)
    if n + i in case.returned:
        return None
    with torch.no_grad():
        (value,) = Program(n, case.steps, [n + i]).eval()(*case.inputs)

    def moved(r: int) -> int:
        if r == n + i:
            return n
        return r + 1 if n <= r < n + i else r

    steps = [replace(s, reads=tuple(map(moved, s.reads))) for k, s in enumerate(case.steps) if k != i]
    return without_dead(Case((*case.inputs, value.contiguous()), tuple(steps), tuple(map(moved, case.returned))))
