"""TFLite routes of normalisations, composed of means and products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.tflite.layout import Array, Laid, Order, plain
from optima.ops.tflite.site import TfliteSite

_MACHINE_EPS = 2.0**-23


def _batch_norm(s: TfliteSite) -> Laid:
    """By stored statistics: a factor and an addend per channel, computed in float64."""
    made = s.made("input")
    mean, variance = (s.array(role).astype(np.float64) for role in ("running_mean", "running_var"))
    scale = 1.0 / np.sqrt(variance + float(s.attr("eps")))
    if s.has("weight"):
        scale = scale * s.array("weight")
    shift = (s.array("bias") if s.has("bias") else 0.0) - mean * scale
    value = s.writer.binary("MUL", made.value, _per_channel(s, scale, made.order))
    return Laid(s.writer.binary("ADD", value, _per_channel(s, shift, made.order)), made.order)


def _per_channel(s: TfliteSite, data: Array, order: Order) -> str:
    """One number per element of PyTorch's axis 1, ready to broadcast."""
    extents = [data.size if a == 1 else 1 for a in order]
    while len(extents) > 1 and extents[0] == 1:
        extents.pop(0)
    return s.writer.data(np.asarray(data).reshape(extents))


def _stored(view: OpView) -> str | None:
    if view.attrs.get("training") or "running_mean" not in view.operands or "running_var" not in view.operands:
        return f"{view.op} by the statistics of its own batch has no TFLite form here"
    return None


def _normal(s: TfliteSite, value: str, at: Sequence[int], eps: float, *, centred: bool = True) -> str:
    """``(x - mean) / sqrt(variance + eps)`` over stored axes; without the mean where it is not ``centred``."""
    w = s.writer
    if centred:
        mean = w.reduce("MEAN", value, at, keepdims=True)
        squares, value = w.binary("SQUARED_DIFFERENCE", value, mean), w.binary("SUB", value, mean)
    else:
        squares = w.binary("MUL", value, value)
    spread = w.shifted(w.reduce("MEAN", squares, at, keepdims=True), eps)
    return w.binary("MUL", value, w.unary("RSQRT", spread))


def _row_norm(s: TfliteSite) -> Laid:
    """layer_norm and rms_norm: over the last axes, wherever these lie."""
    made, rank = s.made("input"), s.rank
    row = [int(n) for n in s.attr("normalized_shape")]
    at = [made.order.index(a) for a in range(rank - len(row), rank)]
    eps = s.attr("eps")
    value = _normal(s, made.value, at, _MACHINE_EPS if eps is None else float(eps), centred=s.view.op == "layer_norm")
    for role, op in (("weight", "MUL"), ("bias", "ADD")):
        if s.has(role):
            data = s.array(role).reshape([1] * (rank - len(row)) + row).transpose(made.order)
            value = s.writer.binary(op, value, s.writer.data(data))
    return Laid(value, made.order)


def _instance_norm(s: TfliteSite) -> Laid:
    if not s.attr("use_input_stats"):
        return _batch_norm(s)
    made = s.made("input")
    at = [made.order.index(a) for a in range(2, s.rank)]
    return _affine(s, _normal(s, made.value, at, float(s.attr("eps"))), made.order)


def _affine(s: TfliteSite, value: str, order: Order) -> Laid:
    for role, op in (("weight", "MUL"), ("bias", "ADD")):
        if s.has(role):
            value = s.writer.binary(op, value, _per_channel(s, s.array(role), order))
    return Laid(value, order)


def _instance_reason(view: OpView) -> str | None:
    return None if view.attrs.get("use_input_stats") else _stored(view)


def _group_norm(s: TfliteSite) -> Laid:
    groups = s.attr("num_groups")
    rows = s.writer.reshape(s.plain("input"), [s.shape[0], groups, s.view.first.numel // (s.shape[0] * groups)])
    value = s.writer.reshape(_normal(s, rows, [2], float(s.attr("eps", 1e-5))), s.shape)
    return _affine(s, value, plain(s.rank))


_AFFINE = ("weight", "bias")
_STATISTICS = (*_AFFINE, "running_mean", "running_var")

ROUTES: dict[str, Tflite] = {
    "batch_norm": Tflite(_batch_norm, _stored, _STATISTICS),
    "instance_norm": Tflite(_instance_norm, _instance_reason, _STATISTICS),
    "layer_norm": Tflite(_row_norm, constants=_AFFINE),
    "rms_norm": Tflite(_row_norm, constants=_AFFINE),
    "group_norm": Tflite(_group_norm, constants=_AFFINE),
}
