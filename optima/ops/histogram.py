"""Counts of values in bins of equal width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.pointwise import supported
from optima.ops.reference import aten
from optima.ops.te_control import both, when
from optima.ops.te_loops import Buffer, Stmt, each, nest, read, sequential, steps, store
from optima.ops.te_reduce import Expr, const, fold_terms

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _histc(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """As in torch: both edges belong to a bin, and what lies outside, NaN too, to none.

    Equal edges stand for the extrema of the data; where those are equal as well, for one below and one above.
    """
    values, dtype = tensors["self"], view.first.dtype
    low, high = (float(view.attrs.get(name, 0)) for name in ("min", "max"))
    ends = _extrema(view, tensors) if low == high and view.first.numel else []
    if low == high and not ends:
        low, high = low - 1, high + 1

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        left, right = _edges(ins[1], ins[2], dtype) if ends else (const(low, dtype), const(high, dtype))
        return _count(ins[0], outs[0], left, right)

    # A kernel of one block alone has no root to schedule under; scratch gives it one.
    counts, _ = sequential(view.op, [values, *ends], [(view.outputs[0].shape, dtype), ((1,), "int8")], body)
    return [counts]


def _extrema(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    values, shape = tensors["self"], view.first.shape
    kinds = ("min", "max")
    return [fold_terms(k, (1,), shape, lambda i, ks: values(*ks), view.first.dtype, k) for k in kinds]


def _edges(least: Buffer, most: Buffer, dtype: str) -> tuple[Expr, Expr]:
    """The extrema, drawn apart by one each where they are equal."""
    from tvm import tirx

    low, high = read(least, 0), read(most, 0)
    apart = tirx.Select(low.equal(high), const(1.0, dtype), const(0.0, dtype))
    return low - apart, high + apart


def _count(values: Buffer, out: Buffer, low: Expr, high: Expr) -> Stmt:
    from tvm import tirx

    (bins,), dtype = (int(d) for d in out.shape), str(out.dtype)

    def one(*index: Expr) -> Stmt:
        value = read(values, *index)
        # In this order torch rounds, so that a value near an edge falls to the same side of it.
        place = ((value - low) * const(float(bins), dtype) / (high - low)).astype("int64")
        last = tirx.const(bins - 1, "int64")
        at = tirx.max(tirx.min(place, last), tirx.const(0, "int64"))
        more = store(out, (at,), read(out, at) + const(1.0, dtype))
        return when(both(value >= low, value <= high), more)

    return steps(each(bins, lambda b: store(out, (b,), const(0.0, dtype))), nest([int(d) for d in values.shape], one))


def _refuse(view: OpView) -> str | None:
    dtype = view.first.dtype
    return None if dtype in ("float32", "float64") else f"torch itself takes no histogram of {dtype}"


_ATTRS: dict[str, Any] = {"bins": 100, "min": 0, "max": 0}

ENTRIES: tuple[OpEntry, ...] = (
    OpEntry("histc", ("self",), aten("histc"), _ATTRS, frozenset({Trait.OPAQUE}), supported(_histc, _refuse)),
)
