"""Resampling: nearest and linear, in one to three dimensions.

Source positions are computed in float32 as torch's CPU kernels compute them (``aten/src/ATen/native/UpSample.h``),
so that the same source element is picked where the exact position is a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.pointwise import Tensors, supported
from optima.ops.promotion import is_float
from optima.ops.reference import aten


def _scales(view: OpView, spatial: int) -> list[float | None]:
    factors = view.attrs.get("scale_factors")
    return [None] * spatial if not factors else [float(f) for f in factors]


def _area_scale(size: int, target: int, factor: float | None) -> np.float32:
    """Source elements per output element, as the float32 that torch has."""
    if factor is not None and factor > 0:
        return np.float32(1.0 / factor)
    return np.float32(size) / np.float32(target)


def _nearest_position(index: Any, size: int, target: int, factor: float | None) -> Any:
    from tvm import tirx

    if size == target:
        return index
    scale = _area_scale(size, target, factor)
    places = np.arange(target)
    exact = np.minimum(np.floor(places.astype("float32") * scale).astype(int), size - 1)
    if target == 2 * size:
        return index // 2
    if target % size == 0 and np.array_equal(exact, places // (target // size)):
        return index // (target // size)
    position = tirx.floor(index.astype("float32") * tirx.const(float(scale), "float32")).astype("int32")
    return tirx.min(position, size - 1)


def _nearest(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, shape, out = tensors["input"], view.first.shape, view.outputs[0]
    factors = _scales(view, len(shape) - 2)

    def at(*index: Any) -> Any:
        sizes = zip(index[2:], shape[2:], out.shape[2:], factors, strict=True)
        return x(index[0], index[1], *[_nearest_position(*arguments) for arguments in sizes])

    return [te.compute(out.shape, at, name=view.op)]


def _linear_position(
    index: Any, size: int, target: int, factor: float | None, align: bool, dtype: str
) -> tuple[Any, Any, Any]:
    """The two source elements and the weight of the second, computed in ``dtype``."""
    from tvm import tirx

    if size == target:
        return index, index, tirx.const(0.0, dtype)
    kind = np.dtype(dtype).type

    def literal(value: float) -> Any:
        return tirx.const(float(kind(value)), dtype)

    place = index.astype(dtype)
    if align:
        step = kind(size - 1) / kind(target - 1) if target > 1 else kind(0)
        source = place * literal(step)
    else:
        ratio = kind(1.0 / factor) if factor else kind(size) / kind(target)
        source = tirx.max(literal(ratio) * (place + literal(0.5)) - literal(0.5), literal(0.0))
    low = tirx.min(source.astype("int32"), size - 1)
    high = tirx.min(low + 1, size - 1)
    # Positions are finite, and part of index expressions: plain extrema, nothing bound.
    weight = tirx.min(tirx.max(source - low.astype(dtype), literal(0.0)), literal(1.0))
    return low, high, weight


def _linear(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, shape, out = tensors["input"], view.first.shape, view.outputs[0]
    dtype = em.math_dtype(out.dtype)
    spatial = len(shape) - 2
    factors, align = _scales(view, spatial), bool(view.attrs["align_corners"])

    def at(*index: Any) -> Any:
        axes = [
            _linear_position(index[2 + k], shape[2 + k], out.shape[2 + k], factors[k], align, dtype)
            for k in range(spatial)
        ]
        return em.cast(_blend(x, index[:2], axes, dtype), out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _blend(x: Any, place: Sequence[Any], axes: Sequence[tuple[Any, Any, Any]], dtype: str) -> Any:
    """The value between the source elements around a position, one dimension after the other."""
    from tvm import tirx

    if not axes:
        return em.cast(x(*place), dtype)
    (low, high, weight), *rest = axes
    if low is high:  # this dimension is not resampled
        return _blend(x, [*place, low], rest, dtype)

    def between(w: Any) -> Any:
        first = _blend(x, [*place, low], rest, dtype)
        return first * (tirx.const(1.0, dtype) - w) + _blend(x, [*place, high], rest, dtype) * w

    return em.let(weight, between, "weight")


def _resize_reason(view: OpView) -> str | None:
    if "output_size" in view.attrs and view.attrs.get("output_size") is None:
        return None if view.attrs.get("scale_factors") else "neither output_size nor scale_factors is given"
    return None


def _linear_reason(view: OpView) -> str | None:
    if not is_float(view.first.dtype):
        return f"linear resampling of {view.first.dtype}"
    return _resize_reason(view)


def _reference(name: str) -> Callable[..., Any]:
    call = aten(f"{name}.vec")

    def reference(**arguments: Any) -> Any:
        x = arguments["input"]
        if x.shape[0]:
            return call(**arguments)
        # torch's type rule for nearest fails on an empty batch, which its kernel takes.
        return call(**{**arguments, "input": x.new_empty((1, *x.shape[1:]))})[:0]

    return reference


def _resize(name: str, compute: Callable[[OpView, Tensors], list[Any]], linear: bool) -> OpEntry:
    attrs: dict[str, Any] = {"output_size": None, "scale_factors": None}
    if linear:
        attrs["align_corners"] = REQUIRED
    return OpEntry(
        name,
        ("input",),
        _reference(name),
        attrs,
        frozenset({Trait.INJECTIVE} if not linear else ()),
        supported(compute, _linear_reason if linear else _resize_reason),
    )


ENTRIES: tuple[OpEntry, ...] = (
    *(_resize(f"upsample_nearest{d}d", _nearest, linear=False) for d in (1, 2, 3)),
    *(_resize(f"upsample_{name}", _linear, linear=True) for name in ("linear1d", "bilinear2d", "trilinear3d")),
)
