"""TE building blocks of resampling: where an output element lies in the source, and the weights of its neighbours.

Positions are computed as torch's CPU kernels compute them (``aten/src/ATen/native/UpSample.h`` and
``cpu/UpSampleKernel.cpp``), so that the same source element is picked where the exact position is a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optima.ops import exact_math as em

#: one source element per output element of an axis
Places = np.ndarray[Any, np.dtype[Any]]

#: the constant of cubic convolution: torch's, and Keys' where it filters against aliasing (as Pillow does)
CUBIC, CUBIC_ANTIALIAS = -0.75, -0.5


@dataclass(frozen=True)
class Axis:
    """One resampled axis of ``size`` elements, seen from ``target`` outputs.

    ``factor`` is the scale that the caller gave, None or 0 where it follows from the sizes. ``dtype`` is the float
    dtype in which torch computes positions and weights.
    """

    size: int
    target: int
    factor: float | None
    align: bool
    dtype: str

    @property
    def scale(self) -> Any:
        """Source elements per output element, as the numpy float that torch has."""
        kind = np.dtype(self.dtype).type
        if self.align:
            return kind(self.size - 1) / kind(self.target - 1) if self.target > 1 else kind(0)
        if self.factor is not None and self.factor > 0:
            return kind(1.0 / self.factor)
        return kind(self.size) / kind(self.target)

    def literal(self, value: float) -> Any:
        """A constant of the axis's dtype."""
        from tvm import tirx

        return tirx.const(float(np.dtype(self.dtype).type(value)), self.dtype)

    @property
    def nothing(self) -> Any:
        """A weight of 0 that does not fold with an infinite element."""
        return em.opaque(self.literal(0.0))

    def clamped(self, place: Any) -> Any:
        """``place`` moved to the nearest element that exists."""
        from tvm import tirx

        return tirx.max(tirx.min(place, self.size - 1), 0)

    def source(self, index: Any) -> Any:
        """The position in the source of output ``index``; may be negative without ``align``."""
        place = index.astype(self.dtype)
        if self.align:
            return place * self.literal(self.scale)
        half = self.literal(0.5)
        return self.literal(self.scale) * (place + half) - half


def nearest_places(axis: Axis) -> Places:
    """The source element of each output of ``upsample_nearest``."""
    positions = (np.arange(axis.target).astype(axis.dtype) * axis.scale).astype("float32")
    return _within(axis, positions)


def nearest_places_by_row(axis: Axis) -> Places:
    """``nearest_places`` as torch has it for images: equal and doubled sizes have a rule of their own."""
    if axis.target in (axis.size, 2 * axis.size):
        return np.arange(axis.target) // (axis.target // axis.size)
    return nearest_places(replace(axis, dtype="float32"))


def nearest_exact_places(axis: Axis) -> Places:
    """The source element of each output of ``_upsample_nearest_exact``."""
    centres = np.arange(axis.target) + 0.5
    positions = np.maximum((centres * np.float64(axis.scale) - 0.5).astype(axis.dtype), 0).astype("float64")
    return _within(axis, (positions + 0.5).astype("float32"))


def nearest_exact_places_by_row(axis: Axis) -> Places:
    """``nearest_exact_places`` as torch has it for images: the centre in float64 at a scale in float32."""
    centres = (np.arange(axis.target) + 0.5) * np.float64(replace(axis, dtype="float32").scale)
    return _within(axis, centres.astype("float32"))


def _within(axis: Axis, positions: Places) -> Places:
    """The elements at or before the positions, the last one past the end."""
    places: Places = np.minimum(np.floor(positions).astype(int), axis.size - 1)
    return places


def nearest_by_row(axis: Axis, index: Any) -> Any:
    """``nearest`` as torch has it for images: equal and doubled sizes have a rule of their own."""
    if axis.target in (axis.size, 2 * axis.size):
        return index // (axis.target // axis.size)
    return nearest(replace(axis, dtype="float32"), index)


def nearest(axis: Axis, index: Any) -> Any:
    """The source element of ``upsample_nearest``: the position rounded down."""
    from tvm import tirx

    simple = _whole_ratio(axis, index, nearest_places(axis), 0)
    if simple is not None:
        return simple
    position = index.astype(axis.dtype) * axis.literal(axis.scale)
    return tirx.min(tirx.floor(position.astype("float32")).astype("int32"), axis.size - 1)


def nearest_exact(axis: Axis, index: Any) -> Any:
    """The source element of ``_upsample_nearest_exact``: the nearest centre.

    torch rounds the position to ``axis.dtype`` once (it multiplies and subtracts in one step), which the doubled
    width here repeats, then adds a half and rounds down in float32.
    """
    from tvm import tirx

    simple = _whole_ratio(axis, index, nearest_exact_places(axis), max(axis.size // axis.target, 1) // 2)
    if simple is not None:
        return simple

    def wide(value: float) -> Any:
        return tirx.const(value, "float64")

    position = (index.astype("float64") + wide(0.5)) * wide(float(axis.scale)) - wide(0.5)
    position = tirx.max(position.astype(axis.dtype), axis.literal(0)).astype("float64") + wide(0.5)
    return tirx.min(tirx.floor(position.astype("float32")).astype("int32"), axis.size - 1)


def nearest_exact_by_row(axis: Axis, index: Any) -> Any:
    """``nearest_exact`` as torch has it for images: the centre in float64 at a scale in float32."""
    from tvm import tirx

    single = replace(axis, dtype="float32")
    exact = nearest_exact_places_by_row(axis)
    simple = _whole_ratio(axis, index, exact, max(axis.size // axis.target, 1) // 2)
    if simple is not None:
        return simple
    place = index.astype("float64") + tirx.const(0.5, "float64")
    centre = place * tirx.const(float(single.scale), "float64")
    return tirx.min(tirx.floor(centre.astype("float32")).astype("int32"), axis.size - 1)


def _whole_ratio(axis: Axis, index: Any, exact: Any, offset: int) -> Any:
    """The integer form of the positions ``exact``, where one size is a multiple of the other; None elsewhere."""
    places = np.arange(axis.target)
    if axis.size == axis.target and np.array_equal(exact, places):
        return index
    if axis.target % axis.size == 0 and np.array_equal(exact, places // (axis.target // axis.size)):
        return index // (axis.target // axis.size)
    step = axis.size // axis.target
    if step > 1 and np.array_equal(exact, places * step + offset):
        return index * step + offset
    return None


def neighbours(axis: Axis, index: Any) -> tuple[Any, Any, Any]:
    """Linear: the two source elements and the weight of the second, all finite; plain extrema, nothing bound."""
    from tvm import tirx

    if axis.scale == 0:
        return 0, min(1, axis.size - 1), axis.nothing
    source = tirx.max(axis.source(index), axis.literal(0.0))
    low = tirx.min(source.astype("int32"), axis.size - 1)
    weight = tirx.min(tirx.max(source - low.astype(axis.dtype), axis.literal(0.0)), axis.literal(1.0))
    return low, tirx.min(low + 1, axis.size - 1), weight


def cubic_near(x: Any, a: float) -> Any:
    """The weight of cubic convolution at distance ``x`` <= 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def cubic_far(x: Any, a: float) -> Any:
    """The weight of cubic convolution at distance 1 <= ``x`` <= 2."""
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def cubic_weight(t: Any, k: int, a: float = CUBIC) -> Any:
    """The weight of neighbour ``k`` of four, ``t`` past the second (a Python, numpy or kernel float)."""
    return (
        lambda: cubic_far(t + 1, a),
        lambda: cubic_near(t, a),
        lambda: cubic_near(1 - t, a),
        lambda: cubic_far(2 - t, a),
    )[k]()


def cubic_low(axis: Axis, index: Any) -> Any:
    """The second of the four source elements around output ``index``."""
    from tvm import tirx

    if axis.scale == 0:
        return tirx.const(0, "int32")
    return tirx.min(tirx.floor(axis.source(index)).astype("int32"), axis.size - 1)


def cubic_past(axis: Axis, index: Any, low: Any) -> Any:
    """How far past ``low`` the position of output ``index`` lies.

    ``low`` is read from where it was stored: computed again, the position may round to the other side of it.
    """
    from tvm import tirx

    if axis.scale == 0:
        return axis.nothing
    past = axis.source(index) - low.astype(axis.dtype)
    return tirx.min(tirx.max(past, axis.literal(0.0)), axis.literal(1.0))


def linear_filter(x: Any, axis: Axis) -> Any:
    """The triangle of half width 1 at ``x``."""
    from tvm import tirx

    return tirx.max(axis.literal(1) - tirx.abs(x), axis.literal(0))


def cubic_filter(x: Any, axis: Axis) -> Any:
    """Keys' cubic of half width 2 at ``x``."""
    from tvm import tirx

    size = tirx.abs(x)
    far = tirx.Select(size < axis.literal(2), cubic_far(size, CUBIC_ANTIALIAS), axis.literal(0))
    return tirx.Select(size < axis.literal(1), cubic_near(size, CUBIC_ANTIALIAS), far)


@dataclass(frozen=True)
class Filter:
    """A filter against aliasing: ``width`` is its half width at scale 1, ``shape(x, axis)`` its value at x."""

    width: float
    shape: Callable[[Any, Axis], Any]

    def support(self, axis: Axis) -> float:
        """Its half width in source elements: it widens as the source gets denser than the output."""
        kind = np.dtype(axis.dtype).type
        return float(kind(self.width) * axis.scale) if axis.scale >= 1 else self.width

    def taps(self, axis: Axis) -> int:
        """The most source elements that one output element can have."""
        return int(np.ceil(self.support(axis))) * 2 + 1

    def first(self, axis: Axis, index: Any) -> Any:
        """The first source element of output ``index``."""
        from tvm import tirx

        edge = self._centre(axis, index) - axis.literal(self.support(axis)) + axis.literal(0.5)
        return tirx.max(edge.astype("int32"), 0)

    def count(self, axis: Axis, index: Any) -> Any:
        """How many source elements output ``index`` has."""
        from tvm import tirx

        edge = self._centre(axis, index) + axis.literal(self.support(axis)) + axis.literal(0.5)
        size = tirx.min(edge.astype("int32"), axis.size) - self.first(axis, index)
        return tirx.max(tirx.min(size, self.taps(axis)), 0)

    def reaches(self, axis: Axis) -> bool:
        """Whether every output has a source element; factors that do not give the target's size may point past."""
        edge = float(axis.scale) * (axis.target - 0.5) - self.support(axis) + 0.5
        return int(edge) < axis.size

    def weight(self, axis: Axis, index: Any, tap: Any) -> Any:
        """The weight of source element ``tap`` of output ``index`` before the weights are made to sum to 1."""
        shrink = 1 / axis.scale if axis.scale >= 1 else 1.0
        place = (tap + self.first(axis, index)).astype(axis.dtype) - self._centre(axis, index) + axis.literal(0.5)
        return self.shape(place * axis.literal(shrink), axis)

    @staticmethod
    def _centre(axis: Axis, index: Any) -> Any:
        return axis.literal(axis.scale) * (index.astype(axis.dtype) + axis.literal(0.5))


LINEAR_FILTER = Filter(1.0, linear_filter)
CUBIC_FILTER = Filter(2.0, cubic_filter)
