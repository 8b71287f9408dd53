"""``docs/device_support.md``: operators by kind of device. The page is its own store: a sweep replaces its columns."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from conformance.device_case import CRASHED, NOISY, NOT_RUN, PROVEN, REFUSED, WRONG, Outcome
from conformance.device_routes import ROUTES, Route

PAGE = Path(__file__).resolve().parent.parent / "docs" / "device_support.md"
_STATUSES = (PROVEN, NOISY, NOT_RUN, REFUSED, WRONG, CRASHED)
#: first cell of a row -> title of a column -> cell
Table = dict[str, dict[str, str]]


def update(route: Route, outcomes: Sequence[Outcome], page: Path = PAGE) -> None:
    """Replace a route's row of the first table and its column of the second."""
    ways, operators = read(page.read_text()) if page.exists() else ({}, {})
    counts = Counter(o.status for o in outcomes)
    by_op: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_op[outcome.op].append(outcome)
    proven = sum(any(o.status == PROVEN for o in found) for found in by_op.values())
    row = {"executed by": route.executed_by, "operators": str(proven), "cases": str(len(outcomes))}
    ways[route.title] = row | {status: str(counts[status]) for status in _STATUSES}
    if counts[PROVEN]:
        for op, found in by_op.items():
            operators.setdefault(op, {})[route.title] = _cell(found)
    page.write_text(render(ways, operators))


def read(text: str) -> tuple[Table, Table]:
    """The two tables of a page."""
    tables = [_table(block) for block in re.findall(r"(?:^\|.*\n)+", text, re.M)]
    ways, operators = tables
    return ways, {op.strip("`"): cells for op, cells in operators.items()}


def render(ways: Table, operators: Table) -> str:
    """The page: ways in the order of ``ROUTES``, operators in the alphabet's."""
    known = [route.title for route in ROUTES]
    titles = sorted(ways, key=lambda title: (known.index(title) if title in known else len(known), title))
    columns = [title for title in titles if any(title in cells for cells in operators.values())]
    head = ("executed by", "operators", "cases", *_STATUSES)
    first = _markdown("kinds", head, {title: ways[title] for title in titles})
    second = _markdown("operator", columns, {f"`{op}`": operators[op] for op in sorted(operators)})
    return f"{_HEAD}{first}{_MIDDLE}{second}"


def _markdown(corner: str, columns: Sequence[str], rows: Table) -> str:
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[first, *(cells.get(column, "") for column in columns)] for first, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _table(block: str) -> Table:
    rows = [re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in block.splitlines()]
    (_, *columns), _, *rest = ([cell.strip() for cell in row] for row in rows)
    return {first: {c: cell for c, cell in zip(columns, cells, strict=True) if cell} for first, *cells in rest}


def _cell(found: Sequence[Outcome]) -> str:
    """How many cases are proven of how many; a reason where there are none."""
    counts = Counter(o.status for o in found)
    faults = "".join(f", {counts[s]} {s}" for s in (NOISY, NOT_RUN, WRONG, CRASHED) if counts[s])
    if counts[WRONG] or counts[CRASHED]:
        return f"**{counts[PROVEN]}/{len(found)}{faults}**"
    if counts[PROVEN] or faults:
        return f"{counts[PROVEN]}/{len(found)}{faults}"
    return f"– {found[0].reason}".replace("|", "\\|")


_HEAD = """# Operators by kind of device

Written by `python -m conformance.devices [KIND] --write`, which takes every operator case of `tests/ops/` (dtypes,
ranks, attributes, odd shapes; weights are parameters) through a backend's own check, compilation and loader, runs it,
and compares it with torch. One kind stands for others that get the same bytes.

- **proven**: equal to torch within the case's own tolerance (float32: 1e-5 of the output's scale, unless the case says
  otherwise); for kinds that quantise, 20 dB of signal to noise over eight samples. **noisy**: 8 to 20 dB, what eight
  bits leave of such data.
- **refused**: before anything is compiled, with a reason; for kinds that quantise also where eight bits leave less.
- **not run**: compiled, and beyond what is here to run it. lavapipe ends a thread's loops at 65,535 rounds, and
  compares int64 wrongly in two cases of `index_put`.
- **wrong**, **crashed**: a fault.

NaN and infinities are among the data of the CPU kinds; the others do not promise them, and get none.

"""
_MIDDLE = """
A cell says how many of an operator's cases are proven. A dash gives the first reason where none is taken.

"""
