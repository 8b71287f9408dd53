"""Operator cases on CPUs that qemu emulates: compiled like any other, run many by one process of the driver in C."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from conformance.device_answers import difference
from conformance.device_case import CRASHED, Compiled, Outcome, compiled
from conformance.device_routes import Route
from conformance.qemu import DriverDied, run_plan
from examples.c.write_plan import write_subgraph
from optima.graph import numpy_dtype
from tests.ops.case import OpCase

#: cases of one process
_AT_ONCE = 64


def judge_emulated(route: Route, cases: Sequence[OpCase]) -> Iterator[Outcome]:
    """The outcomes, in the order of the cases."""
    for first in range(0, len(cases), _AT_ONCE):
        made = [compiled(route, case) for case in cases[first : first + _AT_ONCE]]
        outcomes = iter(_run(route, [m for m in made if isinstance(m, Compiled)]))
        yield from (m if isinstance(m, Outcome) else next(outcomes) for m in made)


def _run(route: Route, made: Sequence[Compiled]) -> list[Outcome]:
    """One process for all of them; if it dies, one for each half, down to the case that it dies of."""
    if not made:
        return []
    with tempfile.TemporaryDirectory(prefix="optima-emulated-") as name:
        folder = Path(name)
        plan = [line for k, m in enumerate(made) for line in _written(m, folder / f"case_{k}")]
        (folder / "plan.txt").write_text("\n".join(plan) + "\n")
        try:
            failed = _failures(run_plan(route.kind, folder, route.cpu))
        except DriverDied as error:
            if len(made) == 1:
                return [Outcome(made[0].case.id, made[0].case.op, CRASHED, str(error))]
        else:
            return [_outcome(m, folder / f"case_{k}", failed) for k, m in enumerate(made)]
    middle = len(made) // 2
    return _run(route, made[:middle]) + _run(route, made[middle:])


def _written(made: Compiled, folder: Path) -> list[str]:
    """The plan's lines for a case, whose files are in ``folder``."""
    folder.mkdir()
    for name in made.part.inputs:
        (folder / f"{name}.in").write_bytes(np.ascontiguousarray(made.values[name]).tobytes())
    return write_subgraph(made.view, folder, f"{folder.name}/")


def _failures(lines: Sequence[str]) -> dict[str, str]:
    """Folder -> what the driver says of the list of steps that failed there."""
    return {line.split()[1].partition("/")[0]: line for line in lines if line.startswith("failed ")}


def _outcome(made: Compiled, folder: Path, failed: dict[str, str]) -> Outcome:
    if folder.name in failed:
        return Outcome(made.case.id, made.case.op, CRASHED, failed[folder.name])
    got = {}
    for name in made.part.outputs:
        kind = made.part.type_of(name)
        got[name] = np.frombuffer((folder / f"{name}.out").read_bytes(), numpy_dtype(kind.dtype)).reshape(kind.shape)
    return made.outcome(difference(made.part, made.case, made.values, got))
