"""Stable sort of rows of (key, place): insertion in short runs, then merges of pairs of runs, n log n always."""

from __future__ import annotations

from collections.abc import Callable

from optima.ops.te_control import Cell, Frame, both, number, repeat, when
from optima.ops.te_keys import Items
from optima.ops.te_loops import Stmt, each, steps
from optima.ops.te_reduce import Expr

#: items that insertion sorts: fewer steps than merging them
RUN = 16


def merge_passes(length: int) -> int:
    """How many times pairs of runs are merged."""
    passes = 0
    while RUN << passes < length:
        passes += 1
    return passes


def goes_before(a: tuple[Expr, Expr], b: tuple[Expr, Expr], *, tied: bool) -> Expr:
    """Whether (key, place) ``a`` sorts before ``b``: by key, or, ``tied``, by place where keys are equal."""
    from tvm import tirx

    if not tied:
        return a[0] < b[0]
    return tirx.any(a[0] < b[0], tirx.all(a[0].equal(b[0]), a[1] < b[1]))


def insertion_sort(frame: Frame, items: Items, first: Expr, end: Expr, *, tied: bool = False) -> Stmt:
    """Sort the items in ``first .. end - 1``; equal ones keep their order, or stand by place where ``tied``."""
    from tvm import tirx

    hole = frame.cell("hole")
    key, place = frame.cell("key", str(items.keys.dtype)), frame.cell("place")

    def insert(offset: Expr) -> Stmt:
        position, left = first + 1 + offset, hole.value - 1
        smaller = goes_before((key.value, place.value), (items.key(left), items.place(left)), tied=tied)
        return steps(
            hole.set(position),
            key.set(items.key(position)),
            place.set(items.place(position)),
            repeat(both(hole.value > first, smaller), steps(*items.move(hole.value, left), hole.add(-1))),
            *items.put(hole.value, key.value, place.value),
        )

    return each(tirx.max(end - first - 1, number(0)), insert, name="unsorted")


def merge_sort(frame: Frame, side: Callable[[Expr], Items], length: int) -> Stmt:
    """Sort a row of ``length`` items; ``side(0)`` holds it, and the result is in ``side(merge_passes(length) % 2)``."""
    from tvm import tirx

    runs = -(-length // RUN)
    source = side(number(0))

    def short_run(run: Expr) -> Stmt:
        return insertion_sort(frame, source, run * RUN, tirx.min(run * RUN + RUN, number(length)))

    left, right = frame.cell("left"), frame.cell("right")

    def merged(turn: Expr) -> Stmt:
        width = number(RUN) << turn
        pairs = (number(length - 1) >> (turn + 5)) + 1  # RUN is 2 ** 4, and a pair twice as long
        here = tirx.bitwise_and(turn, number(1))
        return each(
            pairs, lambda pair: _merge(left, right, side(here), side(1 - here), pair * 2 * width, width, length)
        )

    ordered = each(runs, short_run, name="run")
    passes = merge_passes(length)
    return steps(ordered, each(passes, merged, name="turn")) if passes else ordered


def _merge(left: Cell, right: Cell, source: Items, target: Items, low: Expr, width: Expr, length: int) -> Stmt:
    """Merge the runs of ``width`` at ``low`` and behind it; of equal items the left run's comes first."""
    from tvm import tirx

    middle = tirx.min(low + width, number(length))
    end = tirx.min(low + 2 * width, number(length))

    def take(offset: Expr) -> Stmt:
        from_left = tirx.any(
            right.value >= end, both(left.value < middle, _not_after(source, left, right, end))
        )
        return when(
            from_left,
            steps(*_copied(target, low + offset, source, left), left.add(1)),
            steps(*_copied(target, low + offset, source, right), right.add(1)),
        )

    return steps(left.set(low), right.set(middle), each(end - low, take, name="out"))


def _not_after(source: Items, left: Cell, right: Cell, end: Expr) -> Expr:
    from tvm import tirx

    return source.key(left.value) <= source.key(tirx.min(right.value, end - 1))


def _copied(target: Items, position: Expr, source: Items, cell: Cell) -> list[Stmt]:
    return target.put(position, source.key(cell.value), source.place(cell.value))
