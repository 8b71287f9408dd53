"""Reductions with two results, or with a test of each element: extrema, spread and mean, sums but for NaN, counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_reduce import (
    FLOATS,
    INTEGERS,
    Expr,
    accumulator,
    const,
    convert,
    finish,
    fold,
    is_nan,
    load,
    reduced_axes,
    refuse_dtypes,
    row_rule,
)
from optima.ops.te_spread import correction_of, spread

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_ALL = refuse_dtypes(*FLOATS, *INTEGERS, "bool")
_FLOATING = refuse_dtypes(*FLOATS)


def _with_mean(root: bool, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    (x,) = tensors.values()
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    shape = view.first.shape
    axes = reduced_axes(view.attrs.get("dim"), len(shape))
    keepdim = view.attrs.get("keepdim", False)
    results = spread(
        lambda *i: load(x, *i), shape, axes, acc, correction=correction_of(view), root=root, keepdim=keepdim
    )
    return [finish(r, acc, out.dtype, f"{n}_out") for r, n in zip(results, ("spread", "mean"), strict=True)]


def _both_extrema(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    (x,) = tensors.values()
    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    axes = reduced_axes(view.attrs.get("dim"), len(shape))
    keepdim = view.attrs.get("keepdim", False)

    def extremum(kind: str) -> te.Tensor:
        value = fold(kind, lambda *i: load(x, *i), shape, axes, acc, keepdim=keepdim, name=kind)
        return finish(value, acc, out.dtype, f"{kind}_out")

    return [extremum("min"), extremum("max")]


def _numbers_only(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """nansum: NaN counts as 0, which it is made before the sum's dtype."""
    from tvm import tirx

    (x,) = tensors.values()
    source, out = view.first.dtype, view.outputs[0]
    wide, acc = accumulator(source), accumulator(out.dtype)
    axes = reduced_axes(view.attrs.get("dim"), len(view.first.shape))

    def number(*index: Expr) -> Expr:
        value = load(x, *index)
        value = tirx.Select(is_nan(value, wide), const(0, wide), value) if wide in FLOATS else value
        return value if source == out.dtype else convert(value, source, out.dtype).astype(acc)

    keepdim = view.attrs.get("keepdim", False)
    rule = row_rule(view.first.shape, axes)
    total = fold("sum", number, view.first.shape, axes, acc, keepdim=keepdim, name="nansum", rule=rule)
    return [finish(total, acc, out.dtype)]


def _count(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    (x,) = tensors.values()
    axes = reduced_axes(view.attrs.get("dim"), len(view.first.shape))

    def one(*index: Expr) -> Expr:
        return convert(load(x, *index), view.first.dtype, "bool").astype("int64")

    return [fold("sum", one, view.first.shape, axes, "int64", name="count")]


def _cost(view: OpView) -> Cost:
    """Three operations per element read; operands moved once each."""
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(3.0 * view.first.numel, float(moved))


def _mean_reference(name: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        unbiased = arguments.pop("unbiased")
        if arguments["correction"] is None:
            arguments["correction"] = 1 if unbiased else 0
        return aten(f"{name}.correction")(**arguments)

    return call


def _count_reference(**arguments: Any) -> Any:
    dim = arguments.pop("dim")
    if isinstance(dim, list):
        return aten("count_nonzero.dim_IntList")(dim=dim, **arguments)
    return aten("count_nonzero.default")(dim=dim, **arguments)


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

ENTRIES: tuple[OpEntry, ...] = (
    _entry("var_mean", partial(_with_mean, False), _SPREAD, _FLOATING, _mean_reference("var_mean")),
    _entry("std_mean", partial(_with_mean, True), _SPREAD, _FLOATING, _mean_reference("std_mean")),
    _entry("aminmax", _both_extrema, _DIM, _ALL, aten("aminmax")),
    _entry("nansum", _numbers_only, {**_DIM, "dtype": None}, _ALL, aten("nansum")),
    _entry("count_nonzero", _count, {"dim": None}, _ALL, _count_reference),
)
