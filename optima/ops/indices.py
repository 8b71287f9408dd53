"""Index arithmetic of kernels: dense reshapes, dimensions counted from the end, slice bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def axis(dim: int, rank: int) -> int:
    """A dimension counted from the front; 0-d tensors count as one dimension, as in torch."""
    return dim % max(rank, 1)


def slice_bounds(extent: int, start: int | None, end: int | None) -> tuple[int, int]:
    """Python's slice bounds: negative ones count from the end, those past an end stop there."""
    begin, stop, _ = slice(start, end).indices(extent)
    return begin, max(begin, stop)


def dense_index(source: Sequence[int], target: Sequence[int], index: Sequence[Any]) -> list[Any]:
    """Where the element at ``index`` of a dense tensor of shape ``target`` lies in shape ``source``.

    Dimensions that the two shapes share keep their index; only the others pay for divisions.
    """
    result: list[Any] = []
    for source_run, target_run in _runs(source, target):
        extents = [source[k] for k in source_run]
        if len(source_run) == 1 and len(target_run) == 1:
            result.append(index[target_run[0]])
            continue
        linear: Any = 0
        for k in target_run:
            linear = linear * target[k] + index[k]
        result.extend(_unravel(linear, extents))
    return result


def _unravel(linear: Any, extents: Sequence[int]) -> list[Any]:
    places: list[Any] = []
    stride = 1
    for k in range(len(extents) - 1, -1, -1):
        place = linear // stride if stride > 1 else linear
        places.append(0 if extents[k] == 1 else place % extents[k] if k > 0 else place)
        stride *= extents[k]
    return places[::-1]


def _runs(source: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Cut both shapes into the shortest runs of dimensions with equal products."""
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        left, right = [], []
        have, want = 1, 1
        if i < len(source):
            left, have, i = [i], source[i], i + 1
        if j < len(target):
            right, want, j = [j], target[j], j + 1
        while have != want:
            if have < want and i < len(source):
                left.append(i)
                have, i = have * source[i], i + 1
            else:
                right.append(j)
                want, j = want * target[j], j + 1
        runs.append((left, right))
    return runs
