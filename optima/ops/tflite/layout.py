"""The order in which a value's axes lie: TFLite wants channels last, PyTorch has them first.

An order is a permutation: axis k of the stored value is axis ``order[k]`` of PyTorch's tensor. Rules ask for the
order that they need and say in which order their result lies, so that a chain of convolutions moves data at its
ends alone, and a permutation of axes moves none at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Order = tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Laid:
    """A value of the model and the order of its axes: what a rule returns for each output."""

    value: str
    order: Order


@dataclass
class Forms:
    """One tensor of the graph: its shape in PyTorch's order, and the values that hold it, by order.

    The first entry is the form in which it was made. ``array`` is a parameter's data.
    """

    shape: Shape
    by_order: dict[Order, str] = field(default_factory=dict)
    array: Array | None = None

    @property
    def made(self) -> Laid:
        """The form in which it was made; PyTorch's order for a parameter that nothing has read."""
        for order, value in self.by_order.items():
            return Laid(value, order)
        return Laid("", plain(len(self.shape)))


def plain(rank: int) -> Order:
    """PyTorch's own order."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """Batch, spatial axes, channels."""
    return (0, *range(2, rank), 1)


def last(rank: int, axis: int) -> Order:
    """PyTorch's order with one axis moved behind all others."""
    return (*(a for a in range(rank) if a != axis), axis)


def stored(shape: Sequence[int], order: Order) -> Shape:
    """The shape of a value that lies in this order."""
    return tuple(shape[a] for a in order)


def steps(source: Order, target: Order) -> list[int]:
    """The permutation that takes a value from one order to the other, as TRANSPOSE has it."""
    return [source.index(a) for a in target]


def moves_data(shape: Sequence[int], source: Order, target: Order) -> bool:
    """Whether going from one order to the other moves elements: axes of one element are free to go anywhere."""
    wide = [a for a in source if shape[a] != 1]
    return wide != [a for a in target if shape[a] != 1]


def merged(shape: Sequence[int], axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """A permutation of fewer, longer axes that moves the same elements: axes that stay neighbours become one, and
    those of one element go away. Gives the shape and the permutation."""
    wide = [a for a in axes if shape[a] != 1]
    runs: list[list[int]] = []
    for axis in wide:
        follows = runs and all(shape[a] == 1 for a in range(runs[-1][-1] + 1, axis)) and axis > runs[-1][-1]
        if follows:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    order = sorted(runs)
    extents = [int(np.prod([shape[a] for a in run])) for run in order]
    return extents, [order.index(run) for run in runs]


def without(order: Order, axes: Sequence[int]) -> Order:
    """The order of what is left when axes are reduced away."""
    gone = set(axes)
    left = [a for a in range(len(order)) if a not in gone]
    number = {a: k for k, a in enumerate(left)}
    return tuple(number[a] for a in order if a not in gone)


def through_reshape(shape: Sequence[int], order: Order, target: Sequence[int]) -> Order | None:
    """The order in which a stored value lies when it is seen in another shape, None where that needs its elements
    in PyTorch's order.

    Axes fall into the shortest runs of equal products on both sides; a run that is merged or split has to lie
    together as it is.
    """
    runs = _runs(shape, target)
    run_of = {a: k for k, (source, _) in enumerate(runs) for a in source}
    found: list[int] = []
    position = 0
    while position < len(order):
        source, made = runs[run_of[order[position]]]
        if list(order[position : position + len(source)]) != source:
            return None
        found += made
        position += len(source)
    fresh = [a for source, made in runs if not source for a in made]
    return (*fresh, *found)


def _runs(source: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Both shapes cut into the shortest runs of axes with equal products; axes of one element stand alone."""
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        if i < len(source) and source[i] == 1:
            runs.append(([i], []))
            i += 1
            continue
        if j < len(target) and target[j] == 1:
            runs.append(([], [j]))
            j += 1
            continue
        left, right, have, want = [i], [j], source[i], target[j]
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                have, left, i = have * source[i], [*left, i], i + 1
            else:
                want, right, j = want * target[j], [*right, j], j + 1
        runs.append((left, right))
    return runs
