"""Sampling at computed places: ``grid_sampler`` in two and three dimensions, and the grids of affine maps.

The arithmetic is that of torch's CPU kernels (``cpu/GridSamplerKernel.cpp`` for images, ``GridSampler.cpp`` for
volumes), which treat NaN and infinite places differently; this file does as the one for its rank does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te
from optima.ops.onnx.resize import GRID_SAMPLE
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Tensors, supported
from optima.ops.reference import aten
from optima.ops.te_reduce import accumulator, finish, load, refuse_dtypes
from optima.ops.te_resample import cubic_weight

_LINEAR, _NEAREST, _CUBIC = 0, 1, 2
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2
_TAPS = {_LINEAR: 2, _NEAREST: 1, _CUBIC: 4}


@dataclass(frozen=True)
class _Axis:
    """One sampled axis of ``size`` elements: how grid coordinates become places in it."""

    size: int
    padding: int
    align: bool
    dtype: str
    planar: bool

    def literal(self, value: float) -> Any:
        """A constant of the grid's dtype."""
        from tvm import tirx

        return tirx.const(float(value), self.dtype)

    def place(self, coordinate: Any) -> Any:
        """The place that a coordinate in [-1, 1] stands for, before padding."""
        one, half, size = self.literal(1), self.literal(0.5), self.size
        if self.planar:
            centre = (coordinate + one) * self.literal((size - 1) / 2 if self.align else size / 2)
            return centre if self.align else centre - half
        if self.align:
            return (coordinate + one) * half * self.literal(size - 1)
        return ((coordinate + one) * self.literal(size) - one) * half

    def padded(self, place: Any) -> Any:
        """The place to read instead: clipped to the border, or reflected at it."""
        if self.padding == _ZEROS:
            return place
        return self._clipped(place if self.padding == _BORDER else self._reflected(place))

    def _clipped(self, place: Any) -> Any:
        """Within the elements; NaN is the first element of an image, the last of a volume, as torch has it."""
        first, last = self.literal(0), self.literal(self.size - 1)

        def bounded(p: Any) -> Any:
            from tvm import tirx

            inside = tirx.Select(p > first, tirx.Select(p < last, p, last), first)
            return inside if self.planar else tirx.Select(em.is_nan(p), last, inside)

        return em.let(place, bounded, "place")

    def _reflected(self, place: Any) -> Any:
        from tvm import tirx

        low, span = (0.0, self.size - 1.0) if self.align else (-0.5, float(self.size))
        if span == 0:
            return self.literal(0)
        twice = self.literal(2 * span)

        def folded(away: Any) -> Any:
            return em.let(
                away - tirx.trunc(away / twice) * twice,
                lambda extra: tirx.Select(twice - extra < extra, twice - extra, extra) + self.literal(low),
                "extra",
            )

        return em.let(tirx.abs(place - self.literal(low)), folded, "away")

    def element(self, whole: Any) -> Any:
        """A place without a fraction as an index; -1 where there is no element, be it NaN or past any integer."""
        from tvm import tirx

        def index(p: Any) -> Any:
            inside = em.logical_and(p > self.literal(-1), p < self.literal(self.size))
            return tirx.Select(inside, tirx.Select(inside, p, self.literal(0)).astype("int32"), tirx.const(-1, "int32"))

        return em.let(whole, index, "whole")


def _axes(view: OpView) -> list[_Axis]:
    kind = view.operands["input"]
    align, padding = bool(view.attrs["align_corners"]), view.attrs["padding_mode"]
    dtype = accumulator(view.operands["grid"].dtype)
    return [_Axis(n, padding, align, dtype, len(kind.shape) == 4) for n in kind.shape[2:]]


def _grid_sampler(view: OpView, tensors: Tensors) -> list[Any]:
    """Per axis a table of the elements that each output reads and of their weights; channels share the tables."""
    from tvm import te, tirx

    x, grid = tensors["input"], tensors["grid"]
    out = view.outputs[0]
    mode, axes = view.attrs["interpolation_mode"], _axes(view)
    acc = accumulator(out.dtype)
    places = view.operands["grid"].shape[:-1]
    tables = []
    for k, axis in enumerate(axes):
        # The grid's last axis names x first.
        tables.append(_tables(axis, mode, places, _coordinate(grid, len(axes) - 1 - k)))

    def value(index: Sequence[Any], taps: Sequence[int]) -> Any:
        at = (index[0], *index[2:])
        elements = [elements[t](*at) for (elements, _), t in zip(tables, taps, strict=True)]
        exists = tirx.all(*(e >= 0 for e in elements))
        read = load(x, index[0], index[1], *(tirx.max(e, 0) for e in elements))
        if mode == _NEAREST:
            return tirx.Select(exists, read, tirx.const(0, acc))
        weight = prod(
            (w[t](*at) for (_, w), t in zip(tables[1:], taps[1:], strict=True)), start=tables[0][1][taps[0]](*at)
        )
        if len(axes) == 3:
            return tirx.Select(exists, read * weight, tirx.const(0, acc))
        return tirx.Select(exists, read, tirx.const(0, acc)) * weight

    def at(*index: Any) -> Any:
        terms = [value(index, taps) for taps in product(*(range(_TAPS[mode]) for _ in axes))]
        return sum(terms[1:], start=terms[0])

    return [finish(te.compute(out.shape, at, name="sampled"), acc, out.dtype)]


def _coordinate(grid: Any, component: int) -> Callable[..., Any]:
    return lambda *index: load(grid, *index, component)


def _tables(
    axis: _Axis, mode: int, places: Sequence[int], coordinate: Callable[..., Any]
) -> tuple[list[Any], list[Any]]:
    """(the elements, the weights) per tap, each over the places of the grid."""
    from tvm import te, tirx

    def stage(function: Callable[..., Any], name: str) -> Any:
        return te.compute(places, function, name=name)

    if mode == _CUBIC:
        place = stage(lambda *i: axis.place(coordinate(*i)), "place")
        low = stage(lambda *i: tirx.floor(place(*i)), "low")
        elements = [_tap(stage, axis, low, t) for t in (-1, 0, 1, 2)]
        weights = [_cubic_tap(stage, place, low, t) for t in range(4)]
        return elements, weights
    place = stage(lambda *i: axis.padded(axis.place(coordinate(*i))), "place")
    if mode == _NEAREST:
        return [stage(lambda *i: axis.element(tirx.nearbyint(place(*i))), "nearest")], []
    low = stage(lambda *i: tirx.floor(place(*i)), "low")
    elements = [_corner(stage, axis, low, t) for t in (0, 1)]
    past = stage(lambda *i: em.subtract(place(*i), low(*i)), "past")
    before = stage(lambda *i: axis.literal(1) - em.subtract(place(*i), low(*i)), "before")
    return elements, [before, past]


def _corner(stage: Callable[..., Any], axis: _Axis, low: Any, offset: int) -> Any:
    return stage(lambda *i: axis.element(low(*i) + axis.literal(offset)), f"element_{offset}")


def _tap(stage: Callable[..., Any], axis: _Axis, low: Any, offset: int) -> Any:
    """The element ``offset`` past ``low``; padding is applied to each tap, not to the place."""
    from tvm import tirx

    return stage(
        lambda *i: axis.element(tirx.trunc(axis.padded(low(*i) + axis.literal(offset)))), f"element_{offset + 1}"
    )


def _cubic_tap(stage: Callable[..., Any], place: Any, low: Any, tap: int) -> Any:
    return stage(
        lambda *i: em.let(em.subtract(place(*i), low(*i)), lambda t: cubic_weight(t, tap), "past"), f"weight_{tap}"
    )


def _refuse(view: OpView) -> str | None:
    """Half types have no kernel in torch either; the two operands have one dtype."""
    if view.attrs["interpolation_mode"] not in _TAPS or view.attrs["padding_mode"] not in (0, 1, 2):
        return "an interpolation or a padding mode that torch does not name"
    return refuse_dtypes("float32", "float64")(view)


def _sampler_cost(view: OpView) -> Cost:
    """Two operations per element read for each output; operands moved once each."""
    taps = _TAPS.get(view.attrs["interpolation_mode"], 1) ** (len(view.first.shape) - 2)
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(2.0 * taps * view.outputs[0].numel, float(moved))


def _affine_grid(view: OpView, tensors: Tensors) -> list[Any]:
    """Row-major positions in [-1, 1], last axis first, times the map."""
    from tvm import te, tirx

    theta, out = tensors["theta"], view.outputs[0]
    align = view.attrs["align_corners"]
    acc = accumulator(out.dtype)
    extents = list(view.attrs["size"])[2:]

    def literal(value: float) -> Any:
        return tirx.const(value, acc)

    def base(index: Any, steps: int) -> Any:
        """torch's linspace from -1 to 1, which counts from the nearer end."""
        if steps <= 1:
            return literal(0.0)
        step = literal(2.0 / (steps - 1))
        front = literal(-1.0) + step * index.astype(acc)
        back = literal(1.0) - step * (steps - 1 - index).astype(acc)
        place = tirx.Select(index < steps // 2, front, back)
        return place if align else place * literal(steps - 1) / literal(steps)

    def line(steps: int) -> Any:
        return te.compute((steps,), lambda i: base(i, steps), name="line")

    lines = [line(n) for n in extents]

    def at(*index: Any) -> Any:
        row = (index[0], index[-1])
        total = load(theta, *row, len(extents))
        for k, places in enumerate(reversed(lines)):
            total = total + em.multiply(load(theta, *row, k), places(index[len(extents) - k]))
        return total

    return [finish(te.compute(out.shape, at, name="affine"), acc, out.dtype)]


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        OpEntry(
            "grid_sampler",
            ("input", "grid"),
            aten("grid_sampler"),
            {"interpolation_mode": REQUIRED, "padding_mode": REQUIRED, "align_corners": REQUIRED},
            te=Te(_grid_sampler, _refuse),
            cost=_sampler_cost,
        ),
        OpEntry(
            "affine_grid_generator",
            ("theta",),
            aten("affine_grid_generator"),
            {"size": REQUIRED, "align_corners": REQUIRED},
            te=supported(_affine_grid, refuse_dtypes("float32", "float64", "float16", "bfloat16")),
        ),
    ),
    GRID_SAMPLE,
)
