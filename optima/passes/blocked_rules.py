"""Which ops have a blocked form, and what it is. Each rule returns None where the op stays dense."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from optima.graph import Op, TensorType
from optima.ops.evaluate import evaluate
from optima.ops.te_window import per_axis, same_padding

if TYPE_CHECKING:
    from optima.passes.choose_layout import Layout


@dataclass(frozen=True)
class Blocked:
    """A form that an op can take. ``spare`` is what its spare lanes hold; None for a dense result."""

    op: Op
    type: TensorType
    spare: float | None


def _form(op: Op, name: str, operands: Mapping[str, str], attrs: Mapping[str, Any]) -> Op:
    return replace(
        op, op=name, inputs=tuple(operands.values()), roles=tuple(operands), attrs=dict(attrs), kernel=""
    )


def _float4(layout: Layout, tensor: str) -> bool:
    kind = layout.graph.type_of(tensor)
    return len(kind.shape) == 4 and kind.dtype == "float32"


def _is_weight(layout: Layout, tensor: str | None) -> bool:
    if tensor is None:
        return True
    return layout.graph.tensors[tensor].is_param and layout.graph.type_of(tensor).dtype == "float32"


def conv_form(layout: Layout, op: Op) -> Blocked | None:
    """``conv2d`` with constant weights: depthwise, from few dense channels, or block to block."""
    x, weight, bias = op.operand("input"), op.operand("weight"), op.operand("bias")
    if x is None or weight is None or not _float4(layout, x):
        return None
    if not (_is_weight(layout, weight) and _is_weight(layout, bias)):
        return None
    kernel = layout.graph.type_of(weight).shape[2:]
    attrs = _conv_window(op, kernel)
    if attrs is None:
        return None
    channels, groups = layout.graph.type_of(x).shape[1], op.attrs.get("groups", 1)
    outputs, per_group = layout.graph.type_of(weight).shape[:2]
    b = layout.block
    biases = {} if bias is None else {"bias": layout.weights.bias(bias)}
    kind = layout.blocked_type(op.outputs[0])
    if groups == channels == outputs and groups > 1:
        packed = layout.weights.depthwise(weight)
        operands = {"input": layout.need_blocked(x), "weight": packed, **biases}
        return Blocked(_form(op, "depthwise_conv2d_blocked", operands, attrs), kind, 0.0)
    if groups > 1 and (per_group % b or (outputs // groups) % b):
        return None
    attrs["groups"] = groups
    if outputs % b:
        attrs["features"] = outputs
    if channels < b and not layout.is_blocked(x):
        operands = {"input": layout.need_dense(x), "weight": layout.weights.conv_from_dense(weight), **biases}
    else:
        operands = {"input": layout.need_blocked(x), "weight": layout.weights.conv(weight), **biases}
    return Blocked(_form(op, "conv2d_blocked", operands, attrs), kind, 0.0)


def _conv_window(op: Op, kernel: tuple[int, ...]) -> dict[str, Any] | None:
    """stride, padding and dilation as pairs; None for a padding that differs between the two ends."""
    dilation = per_axis(op.attrs.get("dilation", 1), 2)
    padding = op.attrs.get("padding", 0)
    if padding == "same":
        sides = same_padding(kernel, dilation)
        if any(before != after for before, after in sides):
            return None
        padding = tuple(before for before, _ in sides)
    elif padding == "valid":
        padding = 0
    return {
        "stride": per_axis(op.attrs.get("stride", 1), 2),
        "padding": per_axis(padding, 2),
        "dilation": dilation,
    }


def _pool_window(op: Op) -> dict[str, Any]:
    kernel = per_axis(op.attrs["kernel_size"], 2)
    stride = op.attrs.get("stride")
    # aten's default stride, an empty list, is the kernel's extent
    return {
        "kernel_size": kernel,
        "stride": kernel if stride is None or stride in ((), []) else per_axis(stride, 2),
        "padding": per_axis(op.attrs.get("padding", 0), 2),
    }


def max_pool_form(layout: Layout, op: Op) -> Blocked | None:
    """``max_pool2d`` of a tensor that is blocked already: alone it would not pay for the move."""
    (x,) = op.inputs
    if not layout.is_blocked(x):
        return None
    attrs = _pool_window(op)
    attrs["dilation"] = per_axis(op.attrs.get("dilation", 1), 2)
    attrs["ceil_mode"] = bool(op.attrs.get("ceil_mode", False))
    pooled = _form(op, "max_pool2d_blocked", {"self": layout.blocked_name(x)}, attrs)
    return Blocked(pooled, layout.blocked_type(op.outputs[0]), layout.spare[x])


def avg_pool_form(layout: Layout, op: Op) -> Blocked | None:
    """``avg_pool2d`` of a tensor that is blocked already, without ceil_mode or a divisor of its own."""
    (x,) = op.inputs
    plain = not op.attrs.get("ceil_mode", False) and op.attrs.get("divisor_override") is None
    # Zeros around the border would mix with other spare lanes.
    if not layout.is_blocked(x) or not plain or layout.spare[x] != 0.0:
        return None
    attrs = {**_pool_window(op), "count_include_pad": bool(op.attrs.get("count_include_pad", True))}
    pooled = _form(op, "avg_pool2d_blocked", {"self": layout.blocked_name(x)}, attrs)
    return Blocked(pooled, layout.blocked_type(op.outputs[0]), 0.0)


def global_pool_form(layout: Layout, op: Op) -> Blocked | None:
    """``adaptive_avg_pool2d`` to one pixel: blocked in, dense out."""
    (x,) = op.inputs
    kind = layout.graph.type_of(op.outputs[0])
    if not layout.is_blocked(x) or kind.shape[2:] != (1, 1):
        return None
    pooled = _form(
        op, "global_avg_pool2d_blocked", {"self": layout.blocked_name(x)}, {"channels": kind.shape[1]}
    )
    return Blocked(pooled, kind, None)


def cat_form(layout: Layout, op: Op) -> Blocked | None:
    """``cat`` along channels that fill whole blocks, where some operand is blocked already."""
    out = op.outputs[0]
    if not _float4(layout, out) or op.attrs.get("dim", 0) not in (1, -3):
        return None
    if not all(_float4(layout, n) and layout.graph.type_of(n).shape[1] % layout.block == 0 for n in op.inputs):
        return None
    if not any(map(layout.is_blocked, op.inputs)):
        return None
    inputs = tuple(layout.need_blocked(n) for n in op.inputs)
    joined = replace(op, inputs=inputs, attrs={**op.attrs, "dim": 1}, kernel="")
    return Blocked(joined, layout.blocked_type(out), 0.0)


def prelu_form(layout: Layout, op: Op) -> Blocked | None:
    """``prelu`` of a blocked tensor with a constant slope per channel."""
    x, weight = op.operand("self"), op.operand("weight")
    if x is None or weight is None or not layout.is_blocked(x) or not _is_weight(layout, weight):
        return None
    channels = layout.graph.type_of(x).shape[1]
    if layout.graph.type_of(weight).numel != channels:
        return None
    slope = layout.weights.per_channel(weight, channels)
    form = _form(op, "prelu_blocked", {"self": layout.blocked_name(x), "weight": slope}, {})
    spare = layout.spare[x]
    return Blocked(form, layout.blocked_type(op.outputs[0]), spare if spare > 0 else 0.0)


def elementwise_form(layout: Layout, op: Op) -> Blocked | None:
    """An elementwise op on blocked operands: the same op, one rank higher."""
    out = op.outputs[0]
    if not _float4(layout, out) or not any(map(layout.is_blocked, op.inputs)):
        return None
    kinds = [_operand_kind(layout, n, layout.graph.type_of(out).shape) for n in op.inputs]
    if None in kinds:
        return None
    spare = _spare_lanes(layout, op, kinds)
    if spare is None:
        return None
    channels = layout.graph.type_of(out).shape[1]
    inputs = []
    for name, kind in zip(op.inputs, kinds, strict=True):
        if kind == "blocked":
            inputs.append(layout.need_blocked(name))
        elif kind == "channel":
            inputs.append(layout.weights.per_channel(name, channels))
        else:
            inputs.append(layout.need_dense(name))
    return Blocked(replace(op, inputs=tuple(inputs), kernel=""), layout.blocked_type(out), spare)


def _operand_kind(layout: Layout, tensor: str, out: tuple[int, ...]) -> str | None:
    """How an operand takes part: "blocked", "channel" (a constant per channel), "scalar", or not at all."""
    kind = layout.graph.type_of(tensor)
    if kind.dtype != "float32":
        return None
    if layout.graph.tensors[tensor].is_param and kind.numel == out[1] and kind.numel > 1:
        return "channel" if kind.shape in ((out[1], 1, 1), (1, out[1], 1, 1)) else None
    if kind.numel == 1 and len(kind.shape) <= 4 and not layout.is_blocked(tensor):
        return "scalar"
    # As large as the result, or one number per image and channel (squeeze and excite).
    if kind.shape == out or kind.shape == (out[0], out[1], 1, 1):
        return "blocked"
    return None


def _spare_lanes(layout: Layout, op: Op, kinds: list[str | None]) -> float | None:
    """What the result's spare lanes hold; 0 where there are none, None where that is unknown or not finite."""
    if layout.graph.type_of(op.outputs[0]).shape[1] % layout.block == 0:
        return 0.0
    values: list[float] = []
    for name, kind in zip(op.inputs, kinds, strict=True):
        if kind == "scalar":
            value = layout.graph.tensors[name].value
            if value is None:
                return None
            values.append(float(value.reshape(-1)[0]))
        else:
            values.append(layout.spare.get(name, 0.0))
    result = _evaluate(op.op, op.roles, tuple(sorted(op.attrs.items())), tuple(values))
    return result if math.isfinite(result) else None


@lru_cache(maxsize=4096)
def _evaluate(
    name: str, roles: tuple[str, ...], attrs: tuple[tuple[str, Any], ...], values: tuple[float, ...]
) -> float:
    """The op's own reference on single numbers."""
    op = Op(name, name, roles, roles, ("out",), dict(attrs))
    (result,) = evaluate(op, [(np.full((1,), v, dtype=np.float32), "float32") for v in values])
    return float(result.reshape(-1)[0])


def linear_form(layout: Layout, op: Op) -> Blocked | None:
    """``linear`` with a constant weight: the same, with the weight packed."""
    x, weight, bias = op.operand("input"), op.operand("weight"), op.operand("bias")
    if x is None or weight is None or not _is_weight(layout, weight):
        return None
    kinds = [layout.graph.type_of(n) for n in op.inputs]
    if len(kinds[1].shape) != 2 or any(k.dtype != "float32" for k in kinds):
        return None
    operands = {"input": layout.need_dense(x), "weight": layout.weights.linear(weight)}
    if bias is not None:
        operands["bias"] = layout.need_dense(bias)
    packed = _form(op, "linear_packed", operands, {"features": kinds[1].shape[0]})
    return Blocked(packed, layout.graph.type_of(op.outputs[0]), None)


#: op -> rule. Ops not named here are asked for their traits.
BLOCKED_RULES: Mapping[str, Callable[[Layout, Op], Blocked | None]] = {
    "conv2d": conv_form,
    "max_pool2d": max_pool_form,
    "avg_pool2d": avg_pool_form,
    "adaptive_avg_pool2d": global_pool_form,
    "cat": cat_form,
    "prelu": prelu_form,
    "linear": linear_form,
}
