"""Convolutions and transposed convolutions over one to three spatial axes, with or without a batch axis."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.convolution import CONVOLUTION
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_reduce import FLOATS, INTEGERS, accumulator, finish, fold_terms, load, refuse_dtypes
from optima.ops.te_transposed import MOST_PHASES, Channels, by_phase, with_phase_axes
from optima.ops.te_window import Window, pad, per_axis, same_padding
from optima.ops.tflite.convolution import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _padding(view: OpView, window: Window) -> list[tuple[int, int]]:
    value = view.attrs.get("padding", 0)
    if value == "same":
        return same_padding(window.kernel, window.dilation)
    if value == "valid":
        value = 0
    return [(p, p) for p in per_axis(value, len(window.kernel))]


def _window(view: OpView) -> Window:
    kernel = view.operands["weight"].shape[2:]
    spatial = len(kernel)
    stride = per_axis(view.attrs.get("stride", 1), spatial)
    return Window(kernel, stride, per_axis(view.attrs.get("dilation", 1), spatial))


def _finish(view: OpView, value: te.Tensor, bias: te.Tensor | None, lead: int) -> list[te.Tensor]:
    """Add the bias along axis ``lead`` (the channel) and round to the output's dtype."""
    from tvm import te

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    if bias is not None:
        plain = value
        value = te.compute(out.shape, lambda *i: plain(*i) + load(bias, i[lead]), name="biased")
    return [finish(value, acc, out.dtype)]


def _conv(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    x, weight = tensors["input"], tensors["weight"]
    out = view.outputs[0]
    acc = accumulator(out.dtype)
    window = _window(view)
    spatial = len(window.kernel)
    lead = len(out.shape) - spatial - 1
    sides = _padding(view, window)
    padded = pad(x, [b for b, _ in sides], [a for _, a in sides], 0, out.dtype)
    groups = view.attrs.get("groups", 1)
    per_group_in = view.operands["weight"].shape[1]
    per_group_out = out.shape[lead] // groups

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        channel, where = index[lead], index[lead + 1 :]
        source = ks[0] if groups == 1 else channel // per_group_out * per_group_in + ks[0]
        value = load(padded, *index[:lead], source, *window.at(where, ks[1:]))
        return value * load(weight, channel, *ks)

    total = fold_terms("sum", out.shape, (per_group_in, *window.kernel), term, acc, "conv", "conv")
    return _finish(view, total, tensors.get("bias"), lead)


def _conv_transpose(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    x, weight = tensors["input"], tensors["weight"]
    out = view.outputs[0]
    window = _window(view)
    lead = len(out.shape) - len(window.kernel) - 1
    groups = view.attrs.get("groups", 1)
    channels = Channels(lead, view.operands["input"].shape[lead] // groups, view.operands["weight"].shape[1], groups)
    padding = per_axis(view.attrs.get("padding", 0), len(window.kernel))
    form = by_phase if prod(window.stride) <= MOST_PHASES else with_phase_axes
    total = form(x, weight, out.shape, window, padding, channels, accumulator(out.dtype))
    return _finish(view, total, tensors.get("bias"), lead)


def _refuse(view: OpView) -> str | None:
    reason = refuse_dtypes(*FLOATS, *INTEGERS)(view)
    if reason:
        return reason
    padding = view.attrs.get("padding", 0)
    if isinstance(padding, str) and padding not in ("same", "valid"):
        return f"padding={padding!r} is neither 'same' nor 'valid'"
    return None


def _cost(view: OpView) -> Cost:
    """Two operations per product and per output element one for the bias; operands moved once each.

    A transposed convolution multiplies each *input* element by the kernel.
    """
    weight, out = view.operands["weight"], view.outputs[0]
    driver = view.operands["input"] if "output_padding" in view.attrs else out
    flops = 2.0 * driver.numel * weight.shape[1] * prod(weight.shape[2:])
    flops += out.numel if "bias" in view.operands else 0
    return Cost(flops, float(sum(t.nbytes for t in view.operands.values()) + out.nbytes))


def _entry(name: str, spatial: int, transposed: bool) -> OpEntry:
    ones, zeros = (1,) * spatial, (0,) * spatial
    attrs: dict[str, Any] = {"stride": ones, "padding": zeros, "dilation": ones, "groups": 1}
    if transposed:
        attrs["output_padding"] = zeros
    return OpEntry(
        name,
        ("input", "weight", "bias?"),
        aten(name),
        attrs=attrs,
        traits=frozenset({Trait.CONTRACTION}),
        te=Te(_conv_transpose if transposed else _conv, _refuse),
        cost=_cost,
    )


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        *(_entry(f"conv{n}d", n, False) for n in (1, 2, 3)),
        *(_entry(f"conv_transpose{n}d", n, True) for n in (1, 2, 3)),
    ),
    CONVOLUTION,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
