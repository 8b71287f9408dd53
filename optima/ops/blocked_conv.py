"""Convolutions whose output, and as a rule input, is channel-blocked (see ``optima.ops.blocked``).

Weights are prepacked by ``passes.choose_layout``; lanes past the true channel counts are zero, so blocked results
keep zero lanes. Zero weights alone would not do: an infinite input makes NaN of them. Shapes: b is the block, CIb
and COb the numbers of channel blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait

if TYPE_CHECKING:
    import torch
    from tvm import te


def _out_extent(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    return (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1


def _dense_input(x: torch.Tensor) -> torch.Tensor:
    """A blocked tensor's channels as dense NCHW, padding lanes kept."""
    if x.dim() == 4:
        return x
    n, blocks, h, w, b = x.shape
    return x.permute(0, 1, 4, 2, 3).reshape(n, blocks * b, h, w)


def _blocked(y: torch.Tensor, b: int) -> torch.Tensor:
    n, c, h, w = y.shape
    return y.reshape(n, c // b, b, h, w).permute(0, 1, 3, 4, 2).contiguous()


def _conv_reference(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    features: int = 0,
) -> torch.Tensor:
    import torch

    if input.dim() == 4:  # weight [COb, KH, KW, CI, b]
        cob, kh, kw, ci, b = weight.shape
        dense = weight.permute(0, 4, 3, 1, 2).reshape(cob * b, ci, kh, kw)
    else:  # weight [COb, CIb/groups, KH, KW, b, b]
        cob, cib, kh, kw, bi, b = weight.shape
        dense = weight.permute(0, 5, 1, 4, 2, 3).reshape(cob * b, cib * bi, kh, kw)
    result = torch.nn.functional.conv2d(
        _dense_input(input), dense, bias, list(stride), list(padding), list(dilation), groups
    )
    if features:
        result[:, features:] = 0
    return _blocked(result, b)


def _depthwise_reference(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
) -> torch.Tensor:
    import torch

    cb, kh, kw, b = weight.shape
    dense = weight.permute(0, 3, 1, 2).reshape(cb * b, 1, kh, kw)
    result = torch.nn.functional.conv2d(
        _dense_input(input), dense, bias, list(stride), list(padding), list(dilation), cb * b
    )
    return _blocked(result, b)


def _padded(x: te.Tensor, padding: Sequence[int]) -> te.Tensor:
    """``x`` with a border of zeros around its axes 2 and 3, as a stage of its own; ``x`` if there is none."""
    from tvm import te, tirx

    ph, pw = padding
    if ph == 0 and pw == 0:
        return x
    n, c, h, w, *lanes = (int(d) for d in x.shape)

    def pixel(i: Any, j: Any, y: Any, z: Any, *lane: Any) -> Any:
        inside = tirx.all(y >= ph, y < h + ph, z >= pw, z < w + pw)
        return tirx.if_then_else(inside, x[(i, j, y - ph, z - pw, *lane)], tirx.const(0, x.dtype))

    return te.compute((n, c, h + 2 * ph, w + 2 * pw, *lanes), pixel, name="conv_pad")


def _finished(y: te.Tensor, tensors: Mapping[str, te.Tensor], features: int = 0) -> list[te.Tensor]:
    """``y`` with the bias, and with zeros in the lanes past ``features`` (0: there are none)."""
    from tvm import te, tirx

    bias = tensors.get("bias")
    if bias is None and not features:
        return [y]
    b = int(y.shape[4])

    def lane(n: Any, c: Any, h: Any, w: Any, i: Any) -> Any:
        value = y[n, c, h, w, i] if bias is None else y[n, c, h, w, i] + bias[c * b + i]
        return tirx.Select(c * b + i < features, value, tirx.const(0, y.dtype)) if features else value

    return [te.compute(y.shape, lane, name="conv_spare" if bias is None else "conv_bias")]


def _conv(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te

    a = view.attrs
    (sh, sw), (dh, dw) = a["stride"], a["dilation"]
    x, w = _padded(tensors["input"], a["padding"]), tensors["weight"]
    shape = view.outputs[0].shape
    dense = len(x.shape) == 4
    kh_, kw_ = (int(w.shape[1]), int(w.shape[2])) if dense else (int(w.shape[2]), int(w.shape[3]))
    kh, kw = te.reduce_axis((0, kh_), name="kh"), te.reduce_axis((0, kw_), name="kw")
    if dense:
        ci = te.reduce_axis((0, int(w.shape[3])), name="ci")

        def body(n: Any, co: Any, y: Any, z: Any, i: Any) -> Any:
            pixel = x[n, ci, y * sh + kh * dh, z * sw + kw * dw]
            return te.sum(pixel * w[co, kh, kw, ci, i], axis=[kh, kw, ci])
    else:
        cib, bi = int(w.shape[1]), int(w.shape[4])
        per_group = shape[1] // a["groups"]
        cb, lane = te.reduce_axis((0, cib), name="cb"), te.reduce_axis((0, bi), name="lane")

        def body(n: Any, co: Any, y: Any, z: Any, i: Any) -> Any:
            block = cb if a["groups"] == 1 else (co // per_group) * cib + cb
            pixel = x[n, block, y * sh + kh * dh, z * sw + kw * dw, lane]
            return te.sum(pixel * w[co, cb, kh, kw, lane, i], axis=[cb, kh, kw, lane])

    out = te.compute(shape, body, name="conv_blocked", attrs={"schedule_rule": "conv_blocked"})
    return _finished(out, tensors, a["features"])


def _depthwise(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te

    a = view.attrs
    (sh, sw), (dh, dw) = a["stride"], a["dilation"]
    x, w = _padded(tensors["input"], a["padding"]), tensors["weight"]
    kh = te.reduce_axis((0, int(w.shape[1])), name="kh")
    kw = te.reduce_axis((0, int(w.shape[2])), name="kw")
    out = te.compute(
        view.outputs[0].shape,
        lambda n, c, y, z, i: te.sum(x[n, c, y * sh + kh * dh, z * sw + kw * dw, i] * w[c, kh, kw, i], axis=[kh, kw]),
        name="depthwise_blocked",
        attrs={"schedule_rule": "depthwise_blocked"},
    )
    return _finished(out, tensors)


def _cost(view: OpView) -> Cost:
    weight, out = view.operands["weight"], view.outputs[0]
    per_output = weight.numel // (weight.shape[0] * weight.shape[-1])
    moved = sum(t.nbytes for t in view.operands.values()) + out.nbytes
    return Cost(2.0 * per_output * out.numel, float(moved))


def _refuse(view: OpView) -> str | None:
    if any(t.dtype != "float32" for t in view.operands.values()):
        return "blocked convolution is written for float32"
    return None


_WINDOW: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}

CONVOLUTIONS: tuple[OpEntry, ...] = (
    OpEntry(
        # input [N, CIb, H, W, b] with weight [COb, CIb/groups, KH, KW, b, b], or, for few channels,
        # dense input [N, CI, H, W] with weight [COb, KH, KW, CI, b]; bias [COb * b]. features: lanes past this
        # many channels are set to zero; 0 where no lane is spare
        "conv2d_blocked",
        ("input", "weight", "bias?"),
        _conv_reference,
        attrs={**_WINDOW, "groups": 1, "features": 0},
        traits=frozenset({Trait.CONTRACTION}),
        te=Te(_conv, _refuse),
        cost=_cost,
        internal=True,
    ),
    OpEntry(
        # one filter per channel: weight [Cb, KH, KW, b], bias [Cb * b]
        "depthwise_conv2d_blocked",
        ("input", "weight", "bias?"),
        _depthwise_reference,
        attrs=_WINDOW,
        traits=frozenset({Trait.CONTRACTION}),
        te=Te(_depthwise, _refuse),
        cost=_cost,
        internal=True,
    ),
)
