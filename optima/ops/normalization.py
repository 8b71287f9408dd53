"""Normalisations in inference: by stored statistics (batch), or by those of each row (layer, group, rms)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.normalization import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_reduce import FLOATS, Expr, Source, accumulator, const, convert, finish, fold, load, refuse_dtypes
from optima.ops.tflite.normalization import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

    from optima.graph import TensorType

Tensors = Mapping[str, "te.Tensor"]
Compute = Callable[[OpView, Tensors], list["te.Tensor"]]

_ROW = {"schedule_rule": "row"}
#: eps of rms_norm when it is None: that of the dtype it computes in
_MACHINE_EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def _moments(source: Source, shape: tuple[int, ...], axes: tuple[int, ...], dtype: str) -> tuple[te.Tensor, te.Tensor]:
    """(mean, variance) over the trailing ``axes``, folded axes dropped.

    Two passes, the second over differences from the mean: the difference of large squares would cancel.
    """
    from tvm import te

    count = const(max(math.prod(shape[a] for a in axes), 1), dtype)
    kept = len(shape) - len(axes)
    total = fold("sum", source, shape, axes, dtype, name="total", rule="row")
    mean = te.compute(total.shape, lambda *i: total(*i) / count, name="mean", attrs=_ROW)

    def square(*index: Expr) -> Expr:
        return (source(*index) - mean(*index[:kept])) * (source(*index) - mean(*index[:kept]))

    squares = fold("sum", square, shape, axes, dtype, name="squares", rule="row")
    variance = te.compute(squares.shape, lambda *i: squares(*i) / count, name="variance", attrs=_ROW)
    return mean, variance


def _inverse_root(value: te.Tensor, eps: float, dtype: str) -> te.Tensor:
    from tvm import te, tirx

    return te.compute(
        value.shape,
        lambda *i: const(1, dtype) / tirx.sqrt(value(*i) + const(eps, dtype)),
        name="inverse_deviation",
        attrs=_ROW,
    )


def _affine(value: Expr, tensors: Tensors, index: tuple[Expr, ...]) -> Expr:
    """``value * weight + bias`` at ``index``, each where it is there."""
    if "weight" in tensors:
        value = value * load(tensors["weight"], *index)
    if "bias" in tensors:
        value = value + load(tensors["bias"], *index)
    return value


def _batch_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te, tirx

    if view.attrs.get("training"):
        return _by_batch(view, tensors)

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    x, mean, variance = tensors["input"], tensors["running_mean"], tensors["running_var"]
    eps = const(view.attrs["eps"], acc)

    def scale_of(c: Expr) -> Expr:
        scale = const(1, acc) / tirx.sqrt(load(variance, c).astype(acc) + eps)
        return scale * load(tensors["weight"], c).astype(acc) if "weight" in tensors else scale

    scale = te.compute((view.first.shape[1],), scale_of, name="scale")

    def element(*i: Expr) -> Expr:
        value = (load(x, *i) - load(mean, i[1]).astype(acc)) * scale(i[1])
        return value + load(tensors["bias"], i[1]).astype(acc) if "bias" in tensors else value

    return [finish(te.compute(out.shape, element, name="batch_norm"), acc, out.dtype)]


def _layer_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The normalised tensor; for ``native_layer_norm`` also each row's mean and inverse deviation."""
    from tvm import te

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    x = tensors["input"]
    kept = len(shape) - len(view.attrs["normalized_shape"])
    axes = tuple(range(kept, len(shape)))
    mean, variance = _moments(lambda *i: load(x, *i), shape, axes, acc)
    inverse = _inverse_root(variance, view.attrs.get("eps", 1e-5), acc)

    def element(*i: Expr) -> Expr:
        value = (load(x, *i) - mean(*i[:kept])) * inverse(*i[:kept])
        return _affine(value, tensors, i[kept:])

    value = te.compute(out.shape, element, name="layer_norm", attrs=_ROW)
    return [finish(value, acc, out.dtype), *_statistics(view, mean, inverse)]


def _statistics(view: OpView, *tables: te.Tensor) -> list[te.Tensor]:
    """The tables as the outputs after the first, which have trailing axes of 1 where rows were folded."""
    return [_shaped(table, kind) for kind, table in zip(view.outputs[1:], tables, strict=False)]


def _shaped(table: te.Tensor, kind: TensorType) -> te.Tensor:
    from tvm import te

    rank = len(table.shape)
    return te.compute(
        kind.shape, lambda *i: convert(table(*i[:rank]), str(table.dtype), kind.dtype), name="statistic", attrs=_ROW
    )


def _rms_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    x = tensors["input"]
    kept = len(shape) - len(view.attrs["normalized_shape"])
    axes = tuple(range(kept, len(shape)))
    eps = view.attrs.get("eps")
    count = const(max(math.prod(shape[kept:]), 1), acc)
    squares = fold("sum", lambda *i: load(x, *i) * load(x, *i), shape, axes, acc, name="squares", rule="row")
    mean = te.compute(squares.shape, lambda *i: squares(*i) / count, name="mean_square", attrs=_ROW)
    inverse = _inverse_root(mean, _MACHINE_EPS[acc] if eps is None else eps, acc)

    def element(*i: Expr) -> Expr:
        return _affine(load(x, *i) * inverse(*i[:kept]), tensors, i[kept:])

    value = te.compute(out.shape, element, name="rms_norm", attrs=_ROW)
    return [finish(value, acc, out.dtype)]


def _by_groups(view: OpView, tensors: Tensors, groups: int) -> list[te.Tensor]:
    """Normalise ``[N, C, ...]`` by the moments of each of ``groups`` equal runs of channels."""
    from tvm import te

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    x = tensors["input"]
    size = shape[1] // groups
    grouped = (shape[0], groups, size, *shape[2:])

    def source(n: Expr, g: Expr, c: Expr, *where: Expr) -> Expr:
        return load(x, n, g * size + c, *where)

    mean, variance = _moments(source, grouped, tuple(range(2, len(grouped))), acc)
    inverse = _inverse_root(variance, view.attrs.get("eps", 1e-5), acc)

    def element(*i: Expr) -> Expr:
        row = (i[0], i[1] // size if size > 1 else i[1])
        return _affine((load(x, *i) - mean(*row)) * inverse(*row), tensors, (i[1],))

    value = te.compute(out.shape, element, name=view.op)
    return [finish(value, acc, out.dtype), *_statistics(view, mean, inverse)]


def _group_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    return _by_groups(view, tensors, view.attrs["num_groups" if "num_groups" in view.attrs else "group"])


def _by_batch(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Normalise each channel of ``[N, C, ...]`` by its own moments over the whole batch."""
    from tvm import te

    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    x = tensors["input"]
    turned = (shape[1], shape[0], *shape[2:])
    mean, variance = _moments(lambda c, n, *where: load(x, n, c, *where), turned, tuple(range(1, len(turned))), acc)
    inverse = _inverse_root(variance, view.attrs["eps"], acc)

    def element(*i: Expr) -> Expr:
        return _affine((load(x, *i) - mean(i[1])) * inverse(i[1]), tensors, (i[1],))

    return [finish(te.compute(out.shape, element, name="batch_norm"), acc, out.dtype)]


def _instance_norm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    if view.attrs["use_input_stats"]:
        return _by_groups(view, tensors, view.first.shape[1])
    return _batch_norm(view, tensors)


def _with_absent(name: str, *optional: str) -> Callable[..., Any]:
    """A reference that passes None for absent operands: aten gives these arguments no default."""

    def call(**arguments: Any) -> Any:
        return aten(name)(**{**dict.fromkeys(optional), **arguments})

    return call


_FLOATING = refuse_dtypes(*FLOATS)


def _refuse_training(view: OpView) -> str | None:
    if not view.attrs.get("training"):
        return _needs_statistics(view)
    if "running_mean" in view.operands or "running_var" in view.operands:
        return "batch_norm with training=True updates its running statistics; call model.eval()"
    return _FLOATING(view)


def _refuse_instance(view: OpView) -> str | None:
    return _FLOATING(view) if view.attrs["use_input_stats"] else _needs_statistics(view)


def _needs_statistics(view: OpView) -> str | None:
    if "running_mean" not in view.operands or "running_var" not in view.operands:
        return f"{view.op} needs running_mean and running_var"
    return _FLOATING(view)


def _cost(per_element: int) -> Callable[[OpView], Cost]:
    """``per_element`` operations for each element; operands moved once each."""

    def cost(view: OpView) -> Cost:
        moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
        return Cost(float(per_element * view.outputs[0].numel), float(moved))

    return cost


def _entry(
    name: str,
    operands: tuple[str, ...],
    attrs: Mapping[str, Any],
    te: Te,
    *,
    operations: int,
    trait: Trait = Trait.REDUCTION,
) -> OpEntry:
    optional = tuple(o.rstrip("?") for o in operands if o.endswith("?"))
    reference = _with_absent(name, *optional)
    return OpEntry(name, operands, reference, attrs, frozenset({trait}), te, cost=_cost(operations))


_STATISTICS = ("input", "weight?", "bias?", "running_mean?", "running_var?")
_STORED = {"momentum": REQUIRED, "eps": REQUIRED, "cudnn_enabled": REQUIRED}

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry(
            "batch_norm",
            _STATISTICS,
            {"training": REQUIRED, **_STORED},
            Te(_batch_norm, _refuse_training),
            operations=3,
            trait=Trait.ELEMENTWISE,
        ),
        _entry(
            "instance_norm",
            _STATISTICS,
            {"use_input_stats": REQUIRED, **_STORED},
            Te(_instance_norm, _refuse_instance),
            operations=8,
        ),
        _entry(
            "layer_norm",
            ("input", "weight?", "bias?"),
            {"normalized_shape": REQUIRED, "eps": 1e-5, "cudnn_enable": True},
            Te(_layer_norm, _FLOATING),
            operations=8,
        ),
        _entry(
            "group_norm",
            ("input", "weight?", "bias?"),
            {"num_groups": REQUIRED, "eps": 1e-5, "cudnn_enabled": True},
            Te(_group_norm, _FLOATING),
            operations=8,
        ),
        _entry(
            "native_layer_norm",
            ("input", "weight?", "bias?"),
            {"normalized_shape": REQUIRED, "eps": REQUIRED},
            Te(_layer_norm, _FLOATING),
            operations=8,
        ),
        _entry(
            "native_group_norm",
            ("input", "weight?", "bias?"),
            {"N": REQUIRED, "C": REQUIRED, "HxW": REQUIRED, "group": REQUIRED, "eps": REQUIRED},
            Te(_group_norm, _FLOATING),
            operations=8,
        ),
        _entry(
            "rms_norm",
            ("input", "weight?"),
            {"normalized_shape": REQUIRED, "eps": None},
            Te(_rms_norm, _FLOATING),
            operations=4,
        ),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
