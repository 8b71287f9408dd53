"""ONNX routes of convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import FLOATING
from optima.ops.onnx.site import OpSite
from optima.ops.onnx.writer import Array
from optima.ops.te_window import Window, per_axis, same_padding


def _batched(s: OpSite, spatial: int) -> str:
    """The first operand with a batch axis."""
    if len(s.shape) == spatial + 2:
        return s.first
    return s.writer.reshape(s.first, (1, *s.shape))


def _unbatched(s: OpSite, value: str, spatial: int, output: int = 0) -> str:
    shape = s.view.outputs[output].shape
    return value if len(shape) == spatial + 2 else s.writer.reshape(value, shape)


def _sides(pads: Sequence[tuple[int, int]]) -> list[int]:
    return [*(b for b, _ in pads), *(a for _, a in pads)]


def _conv(s: OpSite) -> str:
    kernel = s.view.operands["weight"].shape[2:]
    spatial = len(kernel)
    dilation = per_axis(s.attr("dilation", 1), spatial)
    padding = s.attr("padding", 0)
    if padding == "same":
        pads = same_padding(kernel, dilation)
    else:
        pads = [(p, p) for p in per_axis(0 if padding == "valid" else padding, spatial)]
    value = s.node(
        "Conv", _batched(s, spatial), s.names["weight"], s.names.get("bias", ""),
        kernel_shape=list(kernel), strides=list(per_axis(s.attr("stride", 1), spatial)),
        pads=_sides(pads), dilations=list(dilation), group=s.attr("groups", 1),
    )  # fmt: skip
    return _unbatched(s, value, spatial)


def _conv_transpose(s: OpSite) -> str:
    kernel = s.view.operands["weight"].shape[2:]
    spatial = len(kernel)
    pads = [(p, p) for p in per_axis(s.attr("padding", 0), spatial)]
    value = s.node(
        "ConvTranspose", _batched(s, spatial), s.names["weight"], s.names.get("bias", ""),
        kernel_shape=list(kernel), strides=list(per_axis(s.attr("stride", 1), spatial)), pads=_sides(pads),
        dilations=list(per_axis(s.attr("dilation", 1), spatial)), group=s.attr("groups", 1),
        output_padding=list(per_axis(s.attr("output_padding", 0), spatial)),
    )  # fmt: skip
    return _unbatched(s, value, spatial)


def _padding_reason(view: OpView) -> str | None:
    padding = view.attrs.get("padding", 0)
    known = not isinstance(padding, str) or padding in ("same", "valid")
    return None if known else f"padding={padding!r} is neither 'same' nor 'valid'"


def _transposed_reason(view: OpView) -> str | None:
    kernel = view.operands["weight"].shape[2:]
    spatial = len(kernel)
    stride = per_axis(view.attrs.get("stride", 1), spatial)
    extra = per_axis(view.attrs.get("output_padding", 0), spatial)
    # torch lets it be as large as the dilation, too.
    return None if all(e < s for e, s in zip(extra, stride, strict=True)) else "output_padding past the stride"


def _window(view: OpView) -> tuple[Window, int]:
    spatial = int(view.op.split("pool")[1][0])
    kernel = per_axis(view.attrs["kernel_size"], spatial)
    stride = view.attrs.get("stride") or kernel
    return Window(kernel, per_axis(stride, spatial), per_axis(view.attrs.get("dilation", 1), spatial)), spatial


def _pads(view: OpView) -> list[tuple[int, int]]:
    """(before, after) per axis: after, as far as the last window reaches, so that no rounding rule is needed."""
    window, spatial = _window(view)
    before = per_axis(view.attrs.get("padding", 0), spatial)
    reach = window.reach(view.outputs[0].shape[-spatial:])
    inner = view.first.shape[-spatial:]
    return [(b, max(r - n - b, 0)) for b, r, n in zip(before, reach, inner, strict=True)]


def _max_pool(s: OpSite) -> list[str]:
    window, spatial = _window(s.view)
    names = s.writer.nodes_outputs(
        "MaxPool", [_batched(s, spatial)], len(s.view.outputs), kernel_shape=list(window.kernel),
        strides=list(window.stride), pads=_sides(_pads(s.view)), dilations=list(window.dilation),
    )  # fmt: skip
    if len(names) == 2:
        # ONNX counts through the whole tensor, torch within each plane.
        plane = int(np.prod(s.shape[-spatial:]))
        names[1] = s.node("Mod", names[1], s.number(plane, "int64"))
    return [_unbatched(s, n, spatial, k) for k, n in enumerate(names)]


def _pool_reason(view: OpView) -> str | None:
    if view.first.dtype not in FLOATING:
        return f"{view.op} of {view.first.dtype} has no ONNX form"
    window, _ = _window(view)
    reach = [d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]
    if any(after >= r for (_, after), r in zip(_pads(view), reach, strict=True)):
        return "a last window that lies in the padding"
    return None


def _avg_pool(s: OpSite) -> str:
    window, spatial = _window(s.view)
    pads = _pads(s.view)
    include = bool(s.attr("count_include_pad", True)) and any(per_axis(s.attr("padding", 0), spatial))
    override = s.attr("divisor_override")
    value = s.node(
        "AveragePool", _batched(s, spatial), kernel_shape=list(window.kernel), strides=list(window.stride),
        pads=_sides(pads), count_include_pad=int(include or override is not None),
    )  # fmt: skip
    if override is not None:
        value = s.scaled(value, float(np.prod(window.kernel)) / override)
    return _unbatched(s, value, spatial)


def _average_reason(view: OpView) -> str | None:
    _, spatial = _window(view)
    before = per_axis(view.attrs.get("padding", 0), spatial)
    past = any(a > b for b, (_, a) in zip(before, _pads(view), strict=True))
    if past and view.attrs.get("count_include_pad", True) and any(before):
        return "ceil_mode with padding that counts: the last windows count what lies past the padding differently"
    return _pool_reason(view)


def _adaptive_avg(s: OpSite) -> str:
    """One mean for everything, equal windows, or a product with the weights of each axis's windows."""
    spatial = int(s.view.op.split("pool")[1][0])
    inner, target = s.shape[-spatial:], s.out.shape[-spatial:]
    x = _batched(s, spatial)
    if all(t == 1 for t in target):
        return _unbatched(s, s.node("GlobalAveragePool", x), spatial)
    if all(n % t == 0 for n, t in zip(inner, target, strict=True)):
        kernel = [n // t for n, t in zip(inner, target, strict=True)]
        return _unbatched(s, s.node("AveragePool", x, kernel_shape=kernel, strides=kernel), spatial)
    for k, (n, t) in enumerate(zip(inner, target, strict=True)):
        x = _along(s, x, 2 + k, 2 + spatial, _averages(n, t))
    return _unbatched(s, x, spatial)


def _averages(extent: int, target: int) -> Array:
    """``[extent, target]``: column i averages the elements floor(i n / t) to before ceil((i + 1) n / t)."""
    weights = np.zeros((extent, target))
    for i in range(target):
        start, end = i * extent // target, -(-(i + 1) * extent // target)
        weights[start:end, i] = 1 / (end - start)
    return weights


def _along(s: OpSite, value: str, axis: int, rank: int, matrix: Array) -> str:
    """The product of an axis with a matrix."""
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    turned = s.writer.transpose(value, order)
    return s.writer.transpose(s.node("MatMul", turned, s.number(matrix)), order)


def _adaptive_max(s: OpSite) -> list[str]:
    spatial = int(s.view.op.split("pool")[1][0])
    inner, target = s.shape[-spatial:], s.out.shape[-spatial:]
    kernel = [n // t for n, t in zip(inner, target, strict=True)]
    names = s.writer.nodes_outputs("MaxPool", [_batched(s, spatial)], 2, kernel_shape=kernel, strides=kernel)
    names[1] = s.node("Mod", names[1], s.number(int(np.prod(inner)), "int64"))
    return [_unbatched(s, n, spatial, k) for k, n in enumerate(names)]


def _adaptive_max_reason(view: OpView) -> str | None:
    if view.first.dtype not in FLOATING:
        return f"{view.op} of {view.first.dtype} has no ONNX form"
    spatial = int(view.op.split("pool")[1][0])
    pairs = zip(view.first.shape[-spatial:], view.outputs[0].shape[-spatial:], strict=True)
    return None if all(n % t == 0 for n, t in pairs) else "windows of different sizes"


_INDEXED = ("float32", "float16", "int64")

CONVOLUTION: dict[str, Onnx] = {
    **{f"conv{d}d": Onnx(_conv, _padding_reason) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": Onnx(_conv_transpose, _transposed_reason) for d in (1, 2, 3)},
}

POOLING: dict[str, Onnx] = {
    name: route
    for d in (1, 2, 3)
    for name, route in {
        f"max_pool{d}d": Onnx(_max_pool, _pool_reason),
        f"max_pool{d}d_with_indices": Onnx(_max_pool, _pool_reason, _INDEXED),
        f"avg_pool{d}d": Onnx(_avg_pool, _average_reason),
        f"adaptive_avg_pool{d}d": Onnx(_adaptive_avg),
        f"adaptive_max_pool{d}d": Onnx(_adaptive_max, _adaptive_max_reason, _INDEXED),
    }.items()
}
