"""Fold batch normalisation with constant statistics into the convolution or linear before it.

    y = (conv(x, w) + b - mean) * s + beta     with s = gamma / sqrt(var + eps), per channel
      = conv(x, w * s) + ((b - mean) * s + beta)

Where nothing stands before it that could take it (a pre-activation network, a convolution whose result is
read twice), it becomes one multiplication and one addition per channel, which fuse with their neighbours.
Scale and shift are computed in float64 and rounded once, by recipes, so new weights fold in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.entry import Trait
from optima.ops.registry import entry_of
from optima.passes.context import PassContext
from optima.passes.origins import merged_origins
from optima.recipe import Recipe, derived_param, param

_DTYPES = ("float32", "float64")
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def fold_batchnorm(graph: Graph, context: PassContext) -> Graph:
    """The graph without batch normalisations whose statistics are constants.

    Equal to the reference within 1e-5 of the output's scale in float32: products are rounded in another
    order. One in training mode, without statistics, or in half precision, stays as it is.
    """
    made: list[Tensor] = []
    taken: dict[str, tuple[Op, ...]] = {}
    gone: set[str] = set()
    for op in graph.ops:
        norm = _norm_of(graph, op)
        if norm is None:
            continue
        producer = graph.producer.get(norm.input)
        if producer is not None and producer.name not in taken and _takes(graph, producer, norm):
            new, params = _folded(graph, producer, norm)
            if all(_finite_if_known(p) for p in params):
                taken[op.name] = (new,)
                gone.add(producer.name)
                made += params
                continue
        new_ops, tensors = _scale_and_shift(graph, norm)
        if all(_finite_if_known(t) for t in tensors if t.is_param):
            taken[op.name] = new_ops
            made += tensors
    ops = [new for op in graph.ops if op.name not in gone for new in taken.get(op.name, (op,))]
    return graph.rebuild(ops, made)


@dataclass(frozen=True)
class _Norm:
    """A batch normalisation that can be folded: its op, what it normalises, and its recipes in float64."""

    op: Op
    input: str
    channels: int
    scale: Recipe
    mean: Recipe
    beta: Recipe | None


def _norm_of(graph: Graph, op: Op) -> _Norm | None:
    if op.op != "batch_norm" or op.attrs.get("training", False):
        return None
    x, mean, var = (op.operand(role) for role in ("input", "running_mean", "running_var"))
    if x is None or mean is None or var is None:
        return None
    read = [n for role in _STATISTICS if (n := op.operand(role)) is not None]
    if not all(graph.tensors[n].is_param for n in read):
        return None
    if any(graph.type_of(n).dtype not in _DTYPES for n in (x, *read)) or len(graph.type_of(x).shape) < 2:
        return None
    gamma, beta = op.operand("weight"), op.operand("bias")
    scale: Recipe = ["rsqrt", ["add", _wide(var), ["scalar", float(op.attrs.get("eps", 1e-5))]]]
    if gamma is not None:
        scale = ["mul", _wide(gamma), scale]
    channels = graph.type_of(x).shape[1]
    return _Norm(op, x, channels, scale, _wide(mean), None if beta is None else _wide(beta))


def _wide(name: str) -> Recipe:
    return ["cast", param(name), "float64"]


def _finite_if_known(tensor: Tensor) -> bool:
    # Folding could overflow where computing in the given order does not.
    return tensor.value is None or bool(np.isfinite(tensor.value).all())


def _takes(graph: Graph, op: Op, norm: _Norm) -> bool:
    """Whether ``op`` is a convolution or linear that nothing but ``norm`` reads, with channels on axis 1."""
    entry = entry_of(op.op)
    weight, bias = op.operand("weight"), op.operand("bias")
    if entry is None or not entry.has(Trait.CONTRACTION) or entry.internal or weight is None:
        return False
    if op.operand("input") is None or not set(op.roles) <= {"input", "weight", "bias"}:
        return False
    if _is_transposed(op) is None or op.devices != norm.op.devices:
        return False
    if norm.input in graph.outputs or len(graph.consumers[norm.input]) != 1:
        return False
    if norm.op.inputs.count(norm.input) != 1:
        return False
    read = [n for n in (weight, bias) if n is not None]
    if not all(graph.tensors[n].is_param and graph.type_of(n).dtype in _DTYPES for n in read):
        return False
    # An unbatched convolution, or a linear over a sequence, has another axis in the place of the channels.
    return len(graph.type_of(norm.input).shape) == len(graph.type_of(weight).shape)


def _is_transposed(op: Op) -> bool | None:
    """False for weights ``[out, in / groups, ...]``, True for ``[in, out / groups, ...]``, else None."""
    if op.op.startswith("conv_transpose"):
        return True
    return False if op.op in ("linear", "conv1d", "conv2d", "conv3d") else None


def _folded(graph: Graph, op: Op, norm: _Norm) -> tuple[Op, list[Tensor]]:
    """``op`` with the normalisation in its weight and bias; it takes over the normalisation's output."""
    old_weight, old_bias = op.operand("weight"), op.operand("bias")
    weight_type = graph.type_of(str(old_weight))
    product = _scaled_weight(op, str(old_weight), weight_type.shape, norm)
    weight = derived_param(
        graph, f"{norm.op.name}.weight", ["cast", product, weight_type.dtype], weight_type
    )
    centred: Recipe = ["sub", ["scalar", 0.0] if old_bias is None else _wide(old_bias), norm.mean]
    shift: Recipe = ["mul", centred, norm.scale]
    if norm.beta is not None:
        shift = ["add", shift, norm.beta]
    bias_type = TensorType((norm.channels,), weight_type.dtype)
    bias = derived_param(graph, f"{norm.op.name}.bias", ["cast", shift, weight_type.dtype], bias_type)
    new = replace(
        op,
        inputs=(str(op.operand("input")), weight.name, bias.name),
        roles=("input", "weight", "bias"),
        outputs=norm.op.outputs,
        origins=merged_origins(op, norm.op),
    )
    return new, [weight, bias]


def _scaled_weight(op: Op, weight: str, shape: tuple[int, ...], norm: _Norm) -> Recipe:
    """The weight with every output channel times its scale, in float64."""
    ones = [1] * (len(shape) - 2)
    if not _is_transposed(op):
        return ["mul", _wide(weight), ["reshape", norm.scale, [norm.channels, 1, *ones]]]
    groups = int(op.attrs.get("groups", 1))
    grouped = ["reshape", _wide(weight), [groups, shape[0] // groups, *shape[1:]]]
    scale = ["reshape", norm.scale, [groups, 1, norm.channels // groups, *ones]]
    return ["reshape", ["mul", grouped, scale], list(shape)]


def _scale_and_shift(graph: Graph, norm: _Norm) -> tuple[tuple[Op, ...], list[Tensor]]:
    """The normalisation as ``x * scale + shift``; the addition keeps its name and output."""
    op, type_ = norm.op, graph.type_of(norm.input)
    per_channel = TensorType((norm.channels, *[1] * (len(type_.shape) - 2)), type_.dtype)
    shift: Recipe = ["sub", ["scalar", 0.0], ["mul", norm.mean, norm.scale]]
    if norm.beta is not None:
        shift = ["sub", norm.beta, ["mul", norm.mean, norm.scale]]
    scale_param, shift_param = (
        derived_param(
            graph,
            f"{op.name}.{what}",
            ["cast", ["reshape", recipe, list(per_channel.shape)], type_.dtype],
            per_channel,
        )
        for what, recipe in (("scale", norm.scale), ("shift", shift))
    )
    scaled = Tensor(f"{op.outputs[0]}.scaled", type_)
    multiply = replace(
        op,
        name=f"{op.name}.scaled",
        op="mul",
        inputs=(norm.input, scale_param.name),
        roles=("self", "other"),
        outputs=(scaled.name,),
        attrs={},
    )
    add = replace(
        op, op="add", inputs=(scaled.name, shift_param.name), roles=("self", "other"), attrs={"alpha": 1}
    )
    return (multiply, add), [scale_param, shift_param, scaled]
