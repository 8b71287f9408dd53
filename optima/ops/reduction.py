"""Reductions over chosen axes: sums, means, products, extrema and where they lie, truth, spread, norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.reduction import REDUCTION
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_argextremum import argextremum
from optima.ops.te_norm import p_norm
from optima.ops.te_reduce import (
    FLOATS,
    INTEGERS,
    Expr,
    accumulator,
    const,
    convert,
    finish,
    fold,
    load,
    reduced_axes,
    refuse_dtypes,
    row_rule,
)
from optima.ops.te_spread import correction_of, spread
from optima.ops.tflite.reduction import REDUCTION as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_ALL = refuse_dtypes(*FLOATS, *INTEGERS, "bool")
_NUMBERS = refuse_dtypes(*FLOATS, *INTEGERS)
_FLOATING = refuse_dtypes(*FLOATS)


def _axes(view: OpView, *, empty_is_all: bool = True) -> tuple[int, ...]:
    return reduced_axes(view.attrs.get("dim"), len(view.first.shape), empty_is_all=empty_is_all)


def _count(view: OpView, axes: tuple[int, ...]) -> int:
    return math.prod(view.first.shape[a] for a in axes)


def _read(view: OpView, tensors: Tensors, dtype: str) -> Callable[..., Expr]:
    """The operand's elements as ``dtype``, then in the dtype that ``dtype`` is added up in."""
    (x,) = tensors.values()
    source = view.first.dtype
    if dtype == source:
        return lambda *i: load(x, *i)
    return lambda *i: convert(load(x, *i), source, dtype).astype(accumulator(dtype))


def _mapped(value: te.Tensor, function: Callable[[Expr], Expr], name: str) -> te.Tensor:
    from tvm import te

    return te.compute(value.shape, lambda *i: function(value(*i)), name=name)


def _fold(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """sum, prod, amax, amin: converted to the output's dtype first, as torch does."""
    out = view.outputs[0]
    axes = _axes(view)
    acc = accumulator(out.dtype)
    keepdim = view.attrs.get("keepdim", False)
    # Schedules of rows split sums into lanes; they have no such way with products and extrema.
    rule = row_rule(view.first.shape, axes) if kind == "sum" else ""
    source = _read(view, tensors, out.dtype)
    value = fold(kind, source, view.first.shape, axes, acc, keepdim=keepdim, name=kind, rule=rule)
    return [finish(value, acc, out.dtype)]


def _mean(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    out = view.outputs[0]
    axes = _axes(view)
    acc = accumulator(out.dtype)
    keepdim = view.attrs.get("keepdim", False)
    count = _count(view, axes)
    source = _read(view, tensors, out.dtype)
    rule = row_rule(view.first.shape, axes)
    total = fold("sum", source, view.first.shape, axes, acc, keepdim=keepdim, name="total", rule=rule)
    divide = (lambda v: v / const(count, acc)) if count else (lambda v: const(math.nan, acc))
    return [finish(_mapped(total, divide, "mean"), acc, out.dtype)]


def _truth(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """any, all. An empty list of axes reduces nothing here, unlike in sum."""
    (x,) = tensors.values()
    axes = _axes(view, empty_is_all=False)
    value = fold(
        kind,
        lambda *i: convert(load(x, *i), view.first.dtype, "bool"),
        view.first.shape,
        axes,
        "bool",
        keepdim=view.attrs.get("keepdim", False),
        name=kind,
    )
    return [finish(value, "bool", view.outputs[0].dtype)]


def _extremum(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """max, min: of everything, or with an axis values and indices."""
    if view.attrs.get("dim") is None:
        return _fold(kind, view, tensors)
    return _positions(kind, view, tensors)


def _arg(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    return _positions(kind, view, tensors)[1:]


def _positions(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    (x,) = tensors.values()
    dtype = view.first.dtype
    axes = _axes(view)
    keepdim = view.attrs.get("keepdim", False)
    acc = "int8" if dtype == "bool" else accumulator(dtype)
    values, indices = argextremum(
        kind, lambda *i: load(x, *i).astype(acc), view.first.shape, axes, acc, keepdim=keepdim
    )
    return [finish(values, acc, dtype, "values"), indices]


def _spread(root: bool, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """var, std."""
    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    keepdim = view.attrs.get("keepdim", False)
    read = _read(view, tensors, out.dtype)
    value, _ = spread(read, shape, _axes(view), acc, correction=correction_of(view), root=root, keepdim=keepdim)
    return [finish(value, acc, out.dtype)]


def _vector_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    order, keepdim = float(view.attrs.get("ord", 2)), view.attrs.get("keepdim", False)
    read = _read(view, tensors, out.dtype)
    return [finish(p_norm(read, view.first.shape, _axes(view), order, acc, keepdim=keepdim), acc, out.dtype)]


def _either(full: str, dim: str, *dropped: str) -> Callable[..., Any]:
    """A reference that calls ``dim``'s overload when an axis is given and ``full``'s otherwise."""

    def call(**arguments: Any) -> Any:
        if arguments.get("dim") is not None:
            return aten(dim)(**arguments)
        for name in ("dim", "keepdim", *dropped):
            arguments.pop(name, None)
        return aten(full)(**arguments)

    return call


def _truth_reference(name: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        dim = arguments.get("dim")
        return aten(f"{name}.dim" if isinstance(dim, int) else f"{name}.dims")(**arguments)

    return call


def _spread_reference(name: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        unbiased = arguments.pop("unbiased")
        if arguments["correction"] is None:
            arguments["correction"] = 1 if unbiased else 0
        return aten(f"{name}.correction")(**arguments)

    return call


def _cost(view: OpView) -> Cost:
    """One operation per element read (three for spreads); operands moved once each."""
    per_element = 3 if view.op in ("var", "std") else 1
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(float(per_element * view.first.numel), float(moved))


def _entry(
    name: str,
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    refuse: Callable[[OpView], str | None],
    reference: Callable[..., Any],
) -> OpEntry:
    return OpEntry(name, ("self",), reference, attrs, frozenset({Trait.REDUCTION}), Te(compute, refuse), cost=_cost)


_DIM: dict[str, Any] = {"dim": None, "keepdim": False}
_SPREAD = {**_DIM, "unbiased": True, "correction": None}

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("sum", partial(_fold, "sum"), {**_DIM, "dtype": None}, _ALL, aten("sum.dim_IntList")),
        _entry("mean", _mean, {**_DIM, "dtype": None}, _ALL, aten("mean.dim")),
        _entry("prod", partial(_fold, "prod"), {**_DIM, "dtype": None}, _ALL, _either("prod.default", "prod.dim_int")),
        _entry("amax", partial(_fold, "max"), {"dim": (), "keepdim": False}, _ALL, aten("amax")),
        _entry("amin", partial(_fold, "min"), {"dim": (), "keepdim": False}, _ALL, aten("amin")),
        _entry("max", partial(_extremum, "max"), _DIM, _ALL, _either("max.default", "max.dim")),
        _entry("min", partial(_extremum, "min"), _DIM, _ALL, _either("min.default", "min.dim")),
        _entry("argmax", partial(_arg, "max"), _DIM, _NUMBERS, aten("argmax")),
        _entry("argmin", partial(_arg, "min"), _DIM, _NUMBERS, aten("argmin")),
        _entry("any", partial(_truth, "any"), _DIM, _ALL, _truth_reference("any")),
        _entry("all", partial(_truth, "all"), _DIM, _ALL, _truth_reference("all")),
        _entry("var", partial(_spread, False), _SPREAD, _FLOATING, _spread_reference("var")),
        _entry("std", partial(_spread, True), _SPREAD, _FLOATING, _spread_reference("std")),
        _entry(
            "linalg_vector_norm",
            _vector_norm,
            {"ord": 2, **_DIM, "dtype": None},
            _FLOATING,
            aten("linalg_vector_norm"),
        ),
    ),
    REDUCTION,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
