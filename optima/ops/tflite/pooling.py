"""TFLite routes of pools."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.te_window import Window, per_axis
from optima.ops.tflite.layout import Laid
from optima.ops.tflite.site import TfliteSite
from optima.ops.tflite.windows import (
    Image,
    both,
    divisors,
    is_same,
    never_negative,
    pads_of,
    with_edges,
)


def _spatial(view: OpView) -> int:
    return int(view.op.split("pool")[1][0])


def _window(view: OpView) -> Window:
    spatial = _spatial(view)
    kernel = per_axis(view.attrs["kernel_size"], spatial)
    stride = per_axis(view.attrs.get("stride") or kernel, spatial)
    dilation = per_axis(view.attrs.get("dilation", 1), spatial)
    return Window(both(kernel, 1), both(stride, 1), both(dilation, 1))


def _before(view: OpView) -> tuple[int, int]:
    return both(per_axis(view.attrs.get("padding", 0), _spatial(view)), 0)


def _pool(s: TfliteSite, op: str, value: str, window: Window, padding: str) -> str:
    outer = both(s.out.shape[-_spatial(s.view) :], 1)
    shape = (s.writer.shapes[value][0], *outer, s.writer.shapes[value][3])
    return s.writer.node(
        op, [value], shape, padding=padding, stride_h=window.stride[0], stride_w=window.stride[1],
        filter_height=window.kernel[0], filter_width=window.kernel[1], fused_activation_function="NONE",
    )  # fmt: skip


def _max_pool(s: TfliteSite) -> Laid:
    """Zeros are no padding for a maximum, unless nothing is below them."""
    image, window = Image.of(s, _spatial(s.view)), _window(s.view)
    inner, outer = s.writer.shapes[image.value][1:3], both(s.out.shape[-_spatial(s.view) :], 1)
    pads = pads_of(window, _before(s.view), inner, outer)
    value, padding = image.value, "VALID"
    if is_same(window, pads, inner, outer):
        padding = "SAME"
    elif never_negative(s, value):
        value = s.writer.pad(value, [(0, 0), *pads, (0, 0)])
    else:
        value = with_edges(s, value, pads)
    return image.result(s, _pool(s, "MAX_POOL_2D", value, window, padding))


def _last_window_reason(view: OpView) -> str | None:
    window, spatial = _window(view), _spatial(view)
    inner, outer = (both(t.shape[-spatial:], 1) for t in (view.first, view.outputs[0]))
    pads = pads_of(window, _before(view), inner, outer)
    if any(after >= k for (_, after), k in zip(pads, window.kernel, strict=True)):
        return "a last window that lies in the padding"
    return None


def _max_reason(view: OpView) -> str | None:
    if _window(view).dilation != (1, 1):
        return "dilation: MAX_POOL_2D has none"
    return _last_window_reason(view)


def _avg_pool(s: TfliteSite) -> Laid:
    """The mean with zeros, times what torch divides by in its stead where that differs."""
    image, window = Image.of(s, _spatial(s.view)), _window(s.view)
    inner, outer = s.writer.shapes[image.value][1:3], both(s.out.shape[-_spatial(s.view) :], 1)
    before = _before(s.view)
    pads = pads_of(window, before, inner, outer)
    counts = bool(s.attr("count_include_pad", True))
    override = s.attr("divisor_override")
    if not counts and override is None and is_same(window, pads, inner, outer):
        return image.result(s, _pool(s, "AVERAGE_POOL_2D", image.value, window, "SAME"))
    value = s.writer.pad(image.value, [(0, 0), *pads, (0, 0)])
    value = _pool(s, "AVERAGE_POOL_2D", value, window, "VALID")
    wanted = divisors(window, before, inner, outer, counts)
    factor = np.prod(window.kernel) / (wanted if override is None else np.full(wanted.shape, float(override)))
    if (factor != 1).any():
        data = factor.reshape(1, *factor.shape, 1) if np.ptp(factor) else factor.reshape(-1)[:1]
        value = s.writer.binary("MUL", value, s.writer.data(data))
    return image.result(s, value)


def _adaptive_avg(s: TfliteSite) -> Laid:
    """One mean for everything, or equal windows."""
    spatial = _spatial(s.view)
    image, outer = Image.of(s, spatial), both(s.out.shape[-spatial:], 1)
    if outer == (1, 1):
        return image.result(s, s.writer.reduce("MEAN", image.value, (1, 2), keepdims=True))
    kernel = tuple(n // t for n, t in zip(s.writer.shapes[image.value][1:3], outer, strict=True))
    return image.result(s, _pool(s, "AVERAGE_POOL_2D", image.value, Window(kernel, kernel, (1, 1)), "VALID"))


def _adaptive_reason(view: OpView) -> str | None:
    spatial = _spatial(view)
    pairs = zip(view.first.shape[-spatial:], view.outputs[0].shape[-spatial:], strict=True)
    return None if all(n % t == 0 for n, t in pairs) else "windows of different sizes have no TFLite form"


ROUTES: dict[str, Tflite] = {
    name: route
    for d in (1, 2)
    for name, route in {
        f"max_pool{d}d": Tflite(_max_pool, _max_reason),
        f"avg_pool{d}d": Tflite(_avg_pool, _last_window_reason),
        f"adaptive_avg_pool{d}d": Tflite(_adaptive_avg, _adaptive_reason),
    }.items()
}
