"""Resampling in one to three dimensions: nearest, linear, cubic, and both filtered against aliasing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.onnx.resize import RESIZE
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Tensors, supported
from optima.ops.promotion import is_float
from optima.ops.reference import aten
from optima.ops.te_reduce import fold_terms, load
from optima.ops.te_resample import (
    CUBIC_FILTER,
    LINEAR_FILTER,
    Axis,
    Filter,
    cubic_low,
    cubic_past,
    cubic_weight,
    nearest,
    nearest_by_row,
    nearest_exact,
    nearest_exact_by_row,
    neighbours,
)
from optima.ops.tflite.resize import RESIZE as TFLITE
from optima.ops.tflite.routes import with_tflite

Compute = Callable[[OpView, Tensors], list[Any]]


def resized_axes(view: OpView) -> list[Axis]:
    """The spatial axes. Integers are placed with float32 positions."""
    shape, target = view.first.shape[2:], view.outputs[0].shape[2:]
    factors = view.attrs.get("scale_factors") or [None] * len(shape)
    align = bool(view.attrs.get("align_corners", False))
    dtype = em.math_dtype(view.first.dtype) if is_float(view.first.dtype) else "float32"
    return [Axis(n, t, f, align, dtype) for n, t, f in zip(shape, target, factors, strict=True)]


def _picked(usual: Callable[[Axis, Any], Any], by_row: Callable[[Axis, Any], Any]) -> Compute:
    """``by_row`` serves two dimensions, for which torch has a kernel that rounds in another way."""

    def compute(view: OpView, tensors: Tensors) -> list[Any]:
        from tvm import te

        x, axes = tensors["input"], resized_axes(view)
        place = by_row if len(axes) == 2 else usual

        def at(*index: Any) -> Any:
            return x(*index[:2], *[place(axis, i) for axis, i in zip(axes, index[2:], strict=True)])

        return [te.compute(view.outputs[0].shape, at, name=view.op)]

    return compute


def _linear(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, out, axes = tensors["input"], view.outputs[0], resized_axes(view)
    dtype = em.math_dtype(out.dtype)

    def at(*index: Any) -> Any:
        return em.cast(_blend(x, index[:2], list(zip(axes, index[2:], strict=True)), dtype), out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _blend(x: Any, place: Sequence[Any], axes: Sequence[tuple[Axis, Any]], dtype: str) -> Any:
    """The value between the source elements around a position, one dimension after the other."""
    from tvm import tirx

    if not axes:
        return em.cast(x(*place), dtype)
    (axis, index), *rest = axes
    if axis.size == axis.target:
        # torch adds the element itself with weight 0, which shows where it is infinite.
        value = _blend(x, [*place, index], rest, dtype)
        return em.let(value, lambda v: v + em.multiply(v, tirx.const(0.0, dtype)), "value")
    low, high, weight = neighbours(axis, index)

    def between(w: Any) -> Any:
        if axis.size == 1:
            only = _blend(x, [*place, 0], rest, dtype)
            return em.let(only, lambda v: v * (tirx.const(1.0, dtype) - w) + em.multiply(v, w), "value")
        first = _blend(x, [*place, low], rest, dtype)
        return first * (tirx.const(1.0, dtype) - w) + em.multiply(_blend(x, [*place, high], rest, dtype), w)

    return em.let(weight, between, "weight")


def _each_axis(view: OpView, tensors: Tensors, one: Callable[[Any, int, Axis], Any]) -> list[Any]:
    """Resample the last axis first, each by ``one(tensor, dimension, axis)``, and round at the end."""
    from tvm import te

    value, out = tensors["input"], view.outputs[0]
    for k, axis in reversed(list(enumerate(resized_axes(view)))):
        value = one(value, 2 + k, axis)
    return [te.compute(out.shape, lambda *i: em.cast(value(*i), out.dtype), name="resampled")]


def _along(tensor: Any, index: Sequence[Any], dim: int, place: Any) -> Any:
    return load(tensor, *index[:dim], place, *index[dim + 1 :])


def _resized(tensor: Any, dim: int, extent: int) -> tuple[int, ...]:
    return tuple(extent if d == dim else int(n) for d, n in enumerate(tensor.shape))


def _cubic_axis(tensor: Any, dim: int, axis: Axis) -> Any:
    from tvm import te

    low = te.compute((axis.target,), lambda i: cubic_low(axis, i), name="low")

    def weights(k: int) -> Any:
        def at(i: Any) -> Any:
            return em.let(cubic_past(axis, i, low(i)), lambda t: cubic_weight(t, k), "past")

        return te.compute((axis.target,), at, name=f"weight_{k}")

    weight = [weights(k) for k in range(4)]

    def at(*index: Any) -> Any:
        i = index[dim]
        values = [_along(tensor, index, dim, axis.clamped(low(i) + (k - 1))) * weight[k](i) for k in range(4)]
        return values[0] + values[1] + values[2] + values[3]

    return te.compute(_resized(tensor, dim, axis.target), at, name="cubic")


def _cubic(view: OpView, tensors: Tensors) -> list[Any]:
    return _each_axis(view, tensors, _cubic_axis)


def _filtered(kind: Filter) -> Compute:
    """Weighted sums over windows of varying length; an axis whose size stays is left alone, whatever its factor."""

    def one(tensor: Any, dim: int, axis: Axis) -> Any:
        return tensor if axis.size == axis.target else _filtered_axis(kind, tensor, dim, axis)

    return lambda view, tensors: _each_axis(view, tensors, one)


def _filtered_axis(kind: Filter, tensor: Any, dim: int, axis: Axis) -> Any:
    """One pass; the weights are a table of the axis, made to sum to 1."""
    from tvm import te, tirx

    taps, zero = kind.taps(axis), axis.literal(0)
    count = te.compute((axis.target,), lambda i: kind.count(axis, i), name="count")
    first = te.compute((axis.target,), lambda i: kind.first(axis, i), name="first")

    def raw(i: Any, k: Any) -> Any:
        return tirx.Select(k < count(i), kind.weight(axis, i, k), zero)

    table = te.compute((axis.target, taps), raw, name="raw_weight")
    total = fold_terms("sum", (axis.target,), (taps,), lambda i, k: table(*i, *k), axis.dtype, "total_weight")

    def scaled(i: Any, k: Any) -> Any:
        return tirx.Select(total(i).equal(zero), zero, table(i, k) / total(i))

    weight = te.compute((axis.target, taps), scaled, name="weight")

    def term(index: Sequence[Any], ks: Sequence[Any]) -> Any:
        i, k = index[dim], ks[0]
        value = _along(tensor, index, dim, axis.clamped(first(i) + k)) * weight(i, k)
        return tirx.if_then_else(k < count(i), value, zero)

    return fold_terms("sum", _resized(tensor, dim, axis.target), (taps,), term, axis.dtype, "filtered")


def _size_reason(view: OpView) -> str | None:
    if view.attrs.get("output_size") is None and not view.attrs.get("scale_factors"):
        return "neither output_size nor scale_factors is given"
    return None


def _float_reason(view: OpView) -> str | None:
    if not is_float(view.first.dtype):
        return f"{view.op} of {view.first.dtype}"
    return _size_reason(view)


def _filter_reason(kind: Filter, view: OpView) -> str | None:
    if view.first.dtype not in ("float32", "float64"):
        return f"{view.op} of {view.first.dtype}: torch filters half-width floats on no CPU, and uint8 in fixed point"
    if not all(kind.reaches(axis) for axis in resized_axes(view)):
        return f"{view.op} with factors that point past the source"
    if view.outputs[0].shape[3] == 1 and view.outputs[0].shape[2] != view.first.shape[2]:
        return f"{view.op} to one column: torch's kernel filters its rows wrongly"
    return _size_reason(view)


def _reference(name: str) -> Callable[..., Any]:
    call = aten(f"{name}.vec")

    def reference(**arguments: Any) -> Any:
        x = arguments["input"]
        if arguments.get("output_size") and arguments.get("scale_factors"):
            return _sized_and_scaled(name, arguments)
        if x.shape[0]:
            return call(**arguments)
        # torch's type rule for nearest fails on an empty batch, which its kernel takes.
        return call(**{**arguments, "input": x.new_empty((1, *x.shape[1:]))})[:0]

    return reference


def _sized_and_scaled(name: str, arguments: dict[str, Any]) -> Any:
    """The overload whose factors place the elements of an output of a given size; a factor of 0 is none."""
    import torch

    given = dict(arguments)
    x, factors = given.pop("input"), given.pop("scale_factors")
    call = getattr(torch.ops.aten, name).default
    names = [a.name for a in call._schema.arguments if a.name.startswith("scales")]
    scales = dict(zip(names, [f or None for f in factors], strict=True))
    batch = x if x.shape[0] else x.new_empty((1, *x.shape[1:]))
    return call(self=batch, **given, **scales)[: x.shape[0]]


def _resize(name: str, compute: Compute, refuse: Callable[[OpView], str | None]) -> OpEntry:
    picks = refuse is _size_reason
    attrs: dict[str, Any] = {"output_size": None, "scale_factors": None}
    if not picks:
        attrs["align_corners"] = REQUIRED
    return OpEntry(
        name,
        ("input",),
        _reference(name),
        attrs,
        frozenset({Trait.INJECTIVE} if picks else ()),
        supported(compute, refuse),
    )


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        *(_resize(f"upsample_nearest{d}d", _picked(nearest, nearest_by_row), _size_reason) for d in (1, 2, 3)),
        *(
            _resize(f"_upsample_nearest_exact{d}d", _picked(nearest_exact, nearest_exact_by_row), _size_reason)
            for d in (1, 2, 3)
        ),
        *(_resize(f"upsample_{name}", _linear, _float_reason) for name in ("linear1d", "bilinear2d", "trilinear3d")),
        _resize("upsample_bicubic2d", _cubic, _float_reason),
        _resize("_upsample_bilinear2d_aa", _filtered(LINEAR_FILTER), partial(_filter_reason, LINEAR_FILTER)),
        _resize("_upsample_bicubic2d_aa", _filtered(CUBIC_FILTER), partial(_filter_reason, CUBIC_FILTER)),
    ),
    RESIZE,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
