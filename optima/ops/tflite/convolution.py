"""TFLite routes of convolutions: plain, depthwise, grouped, transposed."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.te_window import Window, per_axis, same_padding
from optima.ops.tflite.layout import Array, Laid
from optima.ops.tflite.site import TfliteSite
from optima.ops.tflite.windows import Image, Pads, both, padded, pads_of

#: above it a grouped convolution becomes more pieces than it is worth
_MOST_GROUPS = 64


def _weight(s: TfliteSite) -> Array:
    """The weight with two spatial axes."""
    weight = s.array("weight")
    return weight if weight.ndim == 4 else weight[:, :, np.newaxis, :]


def _bias(s: TfliteSite, channels: int) -> Array:
    """Always there: the Edge TPU's compiler was made for models that have one."""
    return s.array("bias") if s.has("bias") else np.zeros(channels, np.float32)


def _window(s: TfliteSite, spatial: int) -> Window:
    kernel = both(s.array("weight").shape[2:], 1)
    stride, dilation = (both(per_axis(s.attr(key, 1), spatial), 1) for key in ("stride", "dilation"))
    return Window(kernel, stride, dilation)


def _before(s: TfliteSite, window: Window, spatial: int) -> tuple[int, ...]:
    padding = s.attr("padding", 0)
    if padding == "same":
        return tuple(b for b, _ in same_padding(window.kernel, window.dilation))
    return both(per_axis(0 if padding == "valid" else padding, spatial), 0)


def _conv(s: TfliteSite) -> Laid:
    weight = _weight(s)
    spatial = s.array("weight").ndim - 2
    image, window = Image.of(s, spatial), _window(s, spatial)
    inner, outer = s.writer.shapes[image.value][1:3], both(s.out.shape[-spatial:], 1)
    pads: Pads = pads_of(window, _before(s, window, spatial), inner, outer)
    value, padding = padded(s, image.value, window, pads, outer)
    shape = (s.writer.shapes[value][0], *outer, weight.shape[0])
    options = {
        "padding": padding,
        "stride_h": window.stride[0], "stride_w": window.stride[1],
        "dilation_h_factor": window.dilation[0], "dilation_w_factor": window.dilation[1],
        "fused_activation_function": "NONE",
    }  # fmt: skip
    groups, bias = s.attr("groups", 1), _bias(s, weight.shape[0])
    if groups > 1 and weight.shape[1] == 1:
        data = [s.writer.data(weight.transpose(1, 2, 3, 0)), s.writer.data(bias)]
        multiplier = weight.shape[0] // groups
        made = s.writer.node("DEPTHWISE_CONV_2D", [value, *data], shape, depth_multiplier=multiplier, **options)
        return image.result(s, made)
    parts = []
    for g in range(groups):
        part = s.writer.part(value, 3, g * weight.shape[1], weight.shape[1])
        rows = slice(g * weight.shape[0] // groups, (g + 1) * weight.shape[0] // groups)
        data = [s.writer.data(weight[rows].transpose(0, 2, 3, 1)), s.writer.data(bias[rows])]
        parts.append(s.writer.node("CONV_2D", [part, *data], (*shape[:3], shape[3] // groups), **options))
    return image.result(s, s.writer.concat(parts, 3))


def _conv_reason(view: OpView) -> str | None:
    padding = view.attrs.get("padding", 0)
    if isinstance(padding, str) and padding not in ("same", "valid"):
        return f"padding={padding!r} is neither 'same' nor 'valid'"
    groups = view.attrs.get("groups", 1)
    if groups > _MOST_GROUPS and view.operands["weight"].shape[1] > 1:
        return f"groups={groups} with several channels each: {_MOST_GROUPS} at most are written one by one"
    return None


def _conv_transpose(s: TfliteSite) -> Laid:
    """Without padding, then cut: SAME leaves to the runtime which side loses the odd element."""
    weight = _weight(s)
    spatial = s.array("weight").ndim - 2
    image, window = Image.of(s, spatial), _window(s, spatial)
    batch, *inner, _ = s.writer.shapes[image.value]
    outer = both(s.out.shape[-spatial:], 1)
    full = [(n - 1) * stride + k for n, stride, k in zip(inner, window.stride, window.kernel, strict=True)]
    shape = (batch, *full, weight.shape[1])
    data = s.writer.data(weight.transpose(1, 2, 3, 0))
    value = s.writer.node(
        "TRANSPOSE_CONV", [s.writer.integers(list(shape)), data, image.value], shape,
        padding="VALID", stride_h=window.stride[0], stride_w=window.stride[1],
    )  # fmt: skip
    before = both(per_axis(s.attr("padding", 0), spatial), 0)
    value = s.writer.slice(value, [0, *before, 0], [batch, *outer, weight.shape[1]])
    if s.has("bias"):
        value = s.writer.binary("ADD", value, s.writer.data(s.array("bias")))
    return image.result(s, value)


def _transposed_reason(view: OpView) -> str | None:
    spatial = len(view.operands["weight"].shape) - 2
    if view.attrs.get("groups", 1) != 1:
        return f"groups={view.attrs['groups']}: TRANSPOSE_CONV has none"
    if any(d != 1 for d in per_axis(view.attrs.get("dilation", 1), spatial)):
        return "dilation: TRANSPOSE_CONV has none"
    before = per_axis(view.attrs.get("padding", 0), spatial)
    extra = per_axis(view.attrs.get("output_padding", 0), spatial)
    if any(e > b for e, b in zip(extra, before, strict=True)):
        return "output_padding past the padding reaches beyond what TRANSPOSE_CONV computes"
    return None


_PARAMETERS = ("weight", "bias")

ROUTES: dict[str, Tflite] = {
    **{f"conv{d}d": Tflite(_conv, _conv_reason, _PARAMETERS) for d in (1, 2)},
    **{f"conv_transpose{d}d": Tflite(_conv_transpose, _transposed_reason, _PARAMETERS) for d in (1, 2)},
}
