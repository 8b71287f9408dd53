"""ONNX routes of reductions, softmax, scans and sorting."""

from __future__ import annotations

import math

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import FLOATING, NUMBERS, only
from optima.ops.onnx.site import OpSite
from optima.ops.routes import first_reason
from optima.ops.te_reduce import reduced_axes
from optima.ops.te_spread import correction_of

_TAKEN = (*NUMBERS, "bool")
_SOFTMAX_OF_AN_AXIS_SINCE = 13


def _axes(view: OpView, *, empty_is_all: bool = True) -> list[int]:
    return list(reduced_axes(view.attrs.get("dim"), len(view.first.shape), empty_is_all=empty_is_all))


def _reduced(s: OpSite, kind: str, value: str, axes: list[int] | None = None) -> str:
    axes = _axes(s.view) if axes is None else axes
    if not axes:
        return s.node("Identity", value)
    return s.writer.reduce(kind, value, axes, keepdims=bool(s.attr("keepdim", False)))


def _fold(kind: str) -> Onnx:
    return Onnx(lambda s: _reduced(s, kind, s.value("self", s.out.dtype)), only(*NUMBERS), _TAKEN)


def _place(s: OpSite, kind: str) -> str:
    """The first index of the extremum; of everything where no axis is given."""
    if not s.shape:
        return s.number(0, "int64")
    keep = int(s.attr("keepdim", False))
    if s.attr("dim") is None:
        flat = s.writer.reshape(s.first, [s.view.first.numel])
        return s.writer.reshape(s.node(kind, flat, axis=0, keepdims=0), s.view.outputs[-1].shape)
    return s.node(kind, s.first, axis=s.attr("dim") % len(s.shape), keepdims=keep)


def _extremum(name: str) -> Onnx:
    """max, min: of everything, or with an axis values and indices."""

    def emit(s: OpSite) -> list[str]:
        values = _reduced(s, f"Reduce{name}", s.first)
        return [values, _place(s, f"Arg{name}")] if len(s.view.outputs) == 2 else [values]

    return Onnx(emit, _ordered, NUMBERS)


def _ordered(view: OpView) -> str | None:
    dtype = view.first.dtype
    return f"{view.op} of {dtype} has no ONNX form here" if dtype not in NUMBERS else None


def _truth(kind: str) -> Onnx:
    """any, all: the extremum of 0 and 1. An empty list of axes reduces nothing here."""

    def emit(s: OpSite) -> str:
        truth = s.writer.cast(s.value("self", "bool"), "int32")
        axes = _axes(s.view, empty_is_all=False)
        return s.writer.cast(_reduced(s, kind, truth, axes), "bool")

    return Onnx(emit, only("bool"), _TAKEN)


def _variance(s: OpSite) -> str:
    """The mean of squared differences, times n / (n - correction)."""
    axes, x = _axes(s.view), s.value("self", s.out.dtype)
    count = math.prod(s.shape[a] for a in axes)
    difference = s.node("Sub", x, s.writer.reduce("ReduceMean", x, axes, keepdims=True))
    squares = s.node("Mul", difference, difference)
    mean = _reduced(s, "ReduceMean", squares, axes)
    return s.scaled(mean, count / (count - correction_of(s.view)))


def _spread_reason(view: OpView) -> str | None:
    axes = _axes(view)
    count = math.prod(view.first.shape[a] for a in axes)
    if not axes:
        return "the spread of one number"
    return "no degrees of freedom are left" if count <= correction_of(view) else None


_NORMS = {1.0: "ReduceL1", 2.0: "ReduceL2"}


def _vector_norm(s: OpSite) -> str:
    order, x = float(s.attr("ord", 2)), s.value("self", s.out.dtype)
    if math.isinf(order):
        return _reduced(s, "ReduceMax" if order > 0 else "ReduceMin", s.node("Abs", x))
    return _reduced(s, _NORMS[order], x) if _axes(s.view) else s.node("Abs", x)


def _norm_reason(view: OpView) -> str | None:
    order = float(view.attrs.get("ord", 2))
    return None if order in _NORMS or math.isinf(order) else f"a norm of order {order}"


def _softmax(op_type: str) -> Onnx:
    """Before version 13 everything from the axis on was one row: right for the last axis only."""

    def emit(s: OpSite) -> str:
        x, rank = s.value("self", s.out.dtype), len(s.shape)
        if rank == 0:
            return s.as_out(s.node(op_type, s.writer.reshape(x, [1]), axis=0))
        axis = s.attr("dim") % rank
        if s.writer.opset >= _SOFTMAX_OF_AN_AXIS_SINCE or axis == rank - 1:
            return s.node(op_type, x, axis=axis)
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        return s.writer.transpose(s.node(op_type, s.writer.transpose(x, order), axis=rank - 1), order)

    return Onnx(emit, only(*FLOATING), _TAKEN)


def _cumsum(s: OpSite) -> str:
    return s.node("CumSum", s.value("self", s.out.dtype), s.number(s.attr("dim") % max(len(s.shape), 1), "int64"))


def _has_axes(view: OpView) -> str | None:
    return None if view.first.shape else f"{view.op} of a 0-d tensor has no ONNX form"


def _sorted(s: OpSite, axis: int, k: int, largest: bool) -> list[str]:
    """ONNX lets equal elements keep their order."""
    count = s.writer.integers([k])
    return s.writer.nodes_outputs("TopK", [s.first, count], 2, axis=axis, largest=int(largest), sorted=1)


def _sort(s: OpSite) -> list[str]:
    axis = s.attr("dim", -1) % len(s.shape) if s.view.op != "msort" else 0
    values, places = _sorted(s, axis, s.shape[axis], bool(s.attr("descending", False)))
    if s.view.op == "argsort":
        return [places]
    return [values, places][: len(s.view.outputs)]


def _topk(s: OpSite) -> list[str]:
    axis = s.attr("dim", -1) % len(s.shape)
    return _sorted(s, axis, s.attr("k"), bool(s.attr("largest", True)))


def _empty_topk(view: OpView) -> str | None:
    return "k=0" if view.attrs.get("k") == 0 else None


REDUCTION: dict[str, Onnx] = {
    "sum": _fold("ReduceSum"),
    "mean": _fold("ReduceMean"),
    "prod": _fold("ReduceProd"),
    "amax": Onnx(lambda s: _reduced(s, "ReduceMax", s.first), _ordered, NUMBERS),
    "amin": Onnx(lambda s: _reduced(s, "ReduceMin", s.first), _ordered, NUMBERS),
    "max": _extremum("Max"),
    "min": _extremum("Min"),
    "argmax": Onnx(lambda s: _place(s, "ArgMax"), _ordered, NUMBERS),
    "argmin": Onnx(lambda s: _place(s, "ArgMin"), _ordered, NUMBERS),
    "any": _truth("ReduceMax"),
    "all": _truth("ReduceMin"),
    "var": Onnx(_variance, _spread_reason),
    "std": Onnx(lambda s: s.node("Sqrt", _variance(s)), _spread_reason),
    "linalg_vector_norm": Onnx(_vector_norm, _norm_reason),
}

SOFTMAX: dict[str, Onnx] = {
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "logsumexp": Onnx(lambda s: _reduced(s, "ReduceLogSumExp", s.value("self", s.out.dtype)), only(*FLOATING), _TAKEN),
}

SCAN: dict[str, Onnx] = {"cumsum": Onnx(_cumsum, first_reason(only("float32", "int64", "int32"), _has_axes), _TAKEN)}

ORDERING: dict[str, Onnx] = {
    **{name: Onnx(_sort, _has_axes, NUMBERS) for name in ("sort", "argsort", "msort")},
    "topk": Onnx(_topk, first_reason(_has_axes, _empty_topk), NUMBERS),
}
