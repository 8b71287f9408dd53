"""ONNX routes of normalisations."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.site import OpSite

_LAYER_NORM_SINCE = 17
_MACHINE_EPS = {"float32": 2.0**-23, "float16": 2.0**-23}  # torch computes half types in float32


def _channels(s: OpSite, role: str, default: float) -> str:
    """A parameter per channel; a constant where it is absent."""
    if s.has(role):
        return s.value(role, s.out.dtype)
    return s.number(np.full((s.shape[1],), default))


def _batch_norm(s: OpSite) -> str:
    parameters = [
        _channels(s, role, default)
        for role, default in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0))
    ]
    return s.node("BatchNormalization", s.names["input"], *parameters, epsilon=float(s.attr("eps")))


def _stored(view: OpView) -> str | None:
    if view.attrs.get("training") or "running_mean" not in view.operands or "running_var" not in view.operands:
        return f"{view.op} by the statistics of its own batch has no ONNX form here"
    return None


def _instance_norm(s: OpSite) -> str:
    if not s.attr("use_input_stats"):
        return _batch_norm(s)
    scale, bias = _channels(s, "weight", 1.0), _channels(s, "bias", 0.0)
    return s.node("InstanceNormalization", s.names["input"], scale, bias, epsilon=float(s.attr("eps")))


def _instance_reason(view: OpView) -> str | None:
    return None if view.attrs.get("use_input_stats") else _stored(view)


def _row_shape(s: OpSite) -> list[int]:
    return [int(n) for n in s.attr("normalized_shape")]


def _layer_norm(s: OpSite) -> str:
    row, eps = _row_shape(s), float(s.attr("eps", 1e-5))
    weight = s.names.get("weight") or s.number(np.ones(row))
    if s.writer.opset >= _LAYER_NORM_SINCE:
        bias = s.names.get("bias", "")
        return s.node("LayerNormalization", s.names["input"], weight, bias, axis=-len(row), epsilon=eps)
    axes = list(range(len(s.shape) - len(row), len(s.shape)))
    x = s.names["input"]
    difference = s.node("Sub", x, s.writer.reduce("ReduceMean", x, axes, keepdims=True))
    variance = s.writer.reduce("ReduceMean", s.node("Mul", difference, difference), axes, keepdims=True)
    value = s.node("Div", difference, s.node("Sqrt", s.shifted(variance, eps)))
    value = s.node("Mul", value, weight)
    return s.node("Add", value, s.names["bias"]) if s.has("bias") else value


def _group_norm(s: OpSite) -> str:
    """Groups become the instances of an instance norm: a form that every device and every version has."""
    groups, channels = s.attr("num_groups"), s.shape[1]
    split = s.writer.reshape(s.names["input"], [s.shape[0], groups, -1])
    ones, zeros = s.number(np.ones(groups)), s.number(np.zeros(groups))
    value = s.node("InstanceNormalization", split, ones, zeros, epsilon=float(s.attr("eps", 1e-5)))
    value = s.as_out(value)
    row = [channels, *[1] * (len(s.shape) - 2)]
    if s.has("weight"):
        value = s.node("Mul", value, s.writer.reshape(s.names["weight"], row))
    return s.node("Add", value, s.writer.reshape(s.names["bias"], row)) if s.has("bias") else value


def _rms_norm(s: OpSite) -> str:
    row, eps = _row_shape(s), s.attr("eps")
    axes = list(range(len(s.shape) - len(row), len(s.shape)))
    x = s.names["input"]
    mean = s.writer.reduce("ReduceMean", s.node("Mul", x, x), axes, keepdims=True)
    root = s.node("Sqrt", s.shifted(mean, _MACHINE_EPS[s.out.dtype] if eps is None else float(eps)))
    value = s.node("Div", x, root)
    return s.node("Mul", value, s.names["weight"]) if s.has("weight") else value


ROUTES: dict[str, Onnx] = {
    "batch_norm": Onnx(_batch_norm, _stored),
    "instance_norm": Onnx(_instance_norm, _instance_reason),
    "layer_norm": Onnx(_layer_norm),
    "group_norm": Onnx(_group_norm),
    "rms_norm": Onnx(_rms_norm),
}
