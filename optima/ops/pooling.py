"""Pooling over one to three spatial axes, with or without a batch axis: maximum, average, adaptive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.convolution import POOLING
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_pool import adaptive_windows, argmax_fold, average_divisor
from optima.ops.te_reduce import (
    FLOATS,
    INTEGERS,
    accumulator,
    const,
    extremum_identity,
    finish,
    fold_terms,
    load,
    refuse_dtypes,
)
from optima.ops.te_window import Window, pad, per_axis
from optima.ops.tflite.pooling import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _window(view: OpView, spatial: int) -> Window:
    kernel = per_axis(view.attrs["kernel_size"], spatial)
    # An empty stride, aten's default, is the kernel's extent.
    stride = view.attrs.get("stride", ())
    stride = kernel if stride is None or stride == () or stride == [] else per_axis(stride, spatial)
    return Window(kernel, stride, per_axis(view.attrs.get("dilation", 1), spatial))


def _padded(
    view: OpView, x: te.Tensor, window: Window, spatial: int, value: float | int
) -> tuple[te.Tensor, tuple[int, ...]]:
    """``x`` grown by ``value`` where padding or ``ceil_mode`` read past it, and the padding per axis."""
    before = per_axis(view.attrs.get("padding", 0), spatial)
    inner = view.first.shape[-spatial:]
    reach = window.reach(view.outputs[0].shape[-spatial:])
    after = [r - b - n for r, b, n in zip(reach, before, inner, strict=True)]
    return pad(x, before, after, value, view.first.dtype), before


def _max_pool(spatial: int, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    (x,) = tensors.values()
    out = view.outputs[0]
    lead = len(out.shape) - spatial
    window = _window(view, spatial)
    start = extremum_identity(out.dtype, lowest=True)
    padded, before = _padded(view, x, window, spatial, start)
    acc = accumulator(out.dtype)

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        return load(padded, *index[:lead], *window.at(index[lead:], ks))

    values = fold_terms("max", out.shape, window.kernel, term, acc, "max_pool")
    if len(view.outputs) == 1:
        return [finish(values, acc, out.dtype)]

    inner = view.first.shape[-spatial:]

    def place(index: tuple[Any, ...], ks: tuple[Any, ...]) -> list[Any]:
        return [w - b for w, b in zip(window.at(index[lead:], ks), before, strict=True)]

    return argmax_fold(view, spatial, window.kernel, term, place, inner)


def _avg_pool(spatial: int, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    (x,) = tensors.values()
    out = view.outputs[0]
    lead = len(out.shape) - spatial
    window = _window(view, spatial)
    padded, before = _padded(view, x, window, spatial, 0)
    acc = accumulator(out.dtype)

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        return load(padded, *index[:lead], *window.at(index[lead:], ks))

    total = fold_terms("sum", out.shape, window.kernel, term, acc, "total")
    divisor = average_divisor(
        out.shape[lead:],
        view.first.shape[-spatial:],
        window,
        before,
        include_pad=view.attrs.get("count_include_pad", True),
        override=view.attrs.get("divisor_override"),
    )
    mean = te.compute(out.shape, lambda *i: total(*i) / divisor(i[lead:]).astype(acc), name="average")
    return [finish(mean, acc, out.dtype)]


def _adaptive(spatial: int, kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Window i of n outputs over m inputs runs from floor(i m / n) to ceil((i + 1) m / n)."""
    from tvm import te, tirx

    (x,) = tensors.values()
    out = view.outputs[0]
    lead = len(out.shape) - spatial
    inner = view.first.shape[-spatial:]
    windows = adaptive_windows(inner, out.shape[lead:])
    acc = accumulator(out.dtype)
    start = 0 if kind == "sum" else extremum_identity(acc, lowest=True)

    def place(index: tuple[Any, ...], ks: tuple[Any, ...]) -> list[Any]:
        return [w.start(i) + k for w, i, k in zip(windows, index[lead:], ks, strict=True)]

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        where = place(index, ks)
        value = load(x, *index[:lead], *where)
        inside = [p < w.end(i) for p, w, i in zip(where, windows, index[lead:], strict=True) if not w.uniform]
        return tirx.if_then_else(tirx.all(*inside), value, const(start, acc)) if inside else value

    longest = [w.longest for w in windows]
    if kind == "max":
        return argmax_fold(view, spatial, longest, term, place, inner)
    total = fold_terms("sum", out.shape, longest, term, acc, "total")

    def mean(*index: Any) -> Any:
        lengths = [w.length(i) for w, i in zip(windows, index[lead:], strict=True)]
        return total(*index) / prod(lengths[1:], start=lengths[0]).astype(acc)

    average = te.compute(out.shape, mean, name="average")
    return [finish(average, acc, out.dtype)]


_FLOATING = refuse_dtypes(*FLOATS)
_NUMBERS = refuse_dtypes(*FLOATS, *INTEGERS)


def _cost(spatial: int, view: OpView) -> Cost:
    """One operation per element of each window; operands moved once each."""
    out = view.outputs[0]
    moved = float(sum(t.nbytes for t in (*view.operands.values(), *view.outputs)))
    if "kernel_size" in view.attrs:
        return Cost(float(out.numel * prod(per_axis(view.attrs["kernel_size"], spatial))), moved)
    windows = adaptive_windows(view.first.shape[-spatial:], out.shape[-spatial:])
    return Cost(float(out.numel * prod(w.longest for w in windows)), moved)


def _entry(
    name: str,
    spatial: int,
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    refuse: Callable[[OpView], str | None],
) -> OpEntry:
    return OpEntry(
        name,
        ("self",),
        aten(name),
        attrs,
        frozenset({Trait.REDUCTION}),
        Te(compute, refuse),
        cost=partial(_cost, spatial),
    )


def _of_rank(n: int) -> tuple[OpEntry, ...]:
    zeros, ones = (0,) * n, (1,) * n
    window = {"kernel_size": REQUIRED, "stride": (), "padding": zeros}
    maximum = {**window, "dilation": ones, "ceil_mode": False}
    average = {**window, "ceil_mode": False, "count_include_pad": True}
    if n > 1:
        average["divisor_override"] = None
    size = {"output_size": REQUIRED}
    numbers = _NUMBERS if n > 1 else _FLOATING
    return (
        _entry(f"max_pool{n}d", n, partial(_max_pool, n), maximum, numbers),
        _entry(f"max_pool{n}d_with_indices", n, partial(_max_pool, n), maximum, numbers),
        _entry(f"avg_pool{n}d", n, partial(_avg_pool, n), average, _FLOATING),
        _entry(f"adaptive_avg_pool{n}d", n, partial(_adaptive, n, "sum"), size, _FLOATING),
        _entry(f"adaptive_max_pool{n}d", n, partial(_adaptive, n, "max"), size, _FLOATING),
    )


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (*_of_rank(1), *_of_rank(2), *_of_rank(3)),
    POOLING,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
