"""Poolings over channel-blocked tensors (see ``optima.ops.blocked``); a pixel's channels are one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait

if TYPE_CHECKING:
    import torch
    from tvm import te


def _lanes_in_batch(x: torch.Tensor) -> torch.Tensor:
    """``[N, Cb, H, W, b]`` -> ``[N, Cb * b, H, W]``."""
    n, cb, h, w, b = x.shape
    return x.permute(0, 1, 4, 2, 3).reshape(n, cb * b, h, w)


def _blocked(y: torch.Tensor, b: int) -> torch.Tensor:
    n, c, h, w = y.shape
    return y.reshape(n, c // b, b, h, w).permute(0, 1, 3, 4, 2).contiguous()


def _max_reference(
    self: torch.Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> torch.Tensor:
    import torch

    y = torch.nn.functional.max_pool2d(
        _lanes_in_batch(self), list(kernel_size), list(stride), list(padding), list(dilation), ceil_mode
    )
    return _blocked(y, self.shape[4])


def _avg_reference(
    self: torch.Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
    count_include_pad: bool = True,
) -> torch.Tensor:
    import torch

    y = torch.nn.functional.avg_pool2d(
        _lanes_in_batch(self), list(kernel_size), list(stride), list(padding), False, count_include_pad
    )
    return _blocked(y, self.shape[4])


def _global_reference(self: torch.Tensor, channels: int) -> torch.Tensor:
    return _lanes_in_batch(self).mean((2, 3), keepdim=True)[:, :channels].contiguous()


def _nan_max(a: Any, b: Any) -> Any:
    """Maximum that keeps a NaN of either side, as torch's pooling does."""
    from tvm import tirx

    # not (a <= b): true where a is larger and where either is NaN; then a NaN b must still win.
    return tirx.Select(tirx.any(b > a, b != b), b, a)


def _max_pool(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te, tirx

    a = view.attrs
    (kh_, kw_), (sh, sw) = a["kernel_size"], a["stride"]
    (ph, pw), (dh, dw) = a["padding"], a["dilation"]
    x = tensors["self"]
    n, cb, h, w, b = (int(d) for d in x.shape)
    _, _, oh, ow, _ = view.outputs[0].shape
    lowest = tirx.const(float("-inf"), x.dtype)
    high, wide = (oh - 1) * sh + (kh_ - 1) * dh + 1, (ow - 1) * sw + (kw_ - 1) * dw + 1
    if (ph, pw) != (0, 0) or high > h or wide > w:
        source = x

        def pixel(i: Any, j: Any, y: Any, z: Any, lane: Any) -> Any:
            inside = tirx.all(y >= ph, y < h + ph, z >= pw, z < w + pw)
            return tirx.if_then_else(inside, source[i, j, y - ph, z - pw, lane], lowest)

        x = te.compute((n, cb, max(high, h + ph), max(wide, w + pw), b), pixel, name="pool_pad")
    kh, kw = te.reduce_axis((0, kh_), name="kh"), te.reduce_axis((0, kw_), name="kw")
    largest = te.comm_reducer(_nan_max, lambda dtype: tirx.const(float("-inf"), dtype), name="largest")
    return [
        te.compute(
            view.outputs[0].shape,
            lambda i, j, y, z, lane: largest(x[i, j, y * sh + kh * dh, z * sw + kw * dw, lane], axis=[kh, kw]),
            name="max_pool_blocked",
            attrs={"schedule_rule": "pool_blocked"},
        )
    ]


def _avg_pool(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te, tirx

    a = view.attrs
    (kh_, kw_), (sh, sw), (ph, pw) = a["kernel_size"], a["stride"], a["padding"]
    x = tensors["self"]
    n, cb, h, w, b = (int(d) for d in x.shape)
    source = x
    if (ph, pw) != (0, 0):

        def pixel(i: Any, j: Any, y: Any, z: Any, lane: Any) -> Any:
            inside = tirx.all(y >= ph, y < h + ph, z >= pw, z < w + pw)
            return tirx.if_then_else(inside, source[i, j, y - ph, z - pw, lane], tirx.const(0, source.dtype))

        x = te.compute((n, cb, h + 2 * ph, w + 2 * pw, b), pixel, name="pool_pad")
    kh, kw = te.reduce_axis((0, kh_), name="kh"), te.reduce_axis((0, kw_), name="kw")
    total = te.compute(
        view.outputs[0].shape,
        lambda i, j, y, z, lane: te.sum(x[i, j, y * sh + kh, z * sw + kw, lane], axis=[kh, kw]),
        name="avg_pool_blocked",
        attrs={"schedule_rule": "pool_blocked"},
    )

    def mean(i: Any, j: Any, y: Any, z: Any, lane: Any) -> Any:
        if a["count_include_pad"]:
            return total[i, j, y, z, lane] / tirx.const(kh_ * kw_, source.dtype)
        rows = tirx.min(y * sh + kh_, h + ph) - tirx.max(y * sh, ph)
        columns = tirx.min(z * sw + kw_, w + pw) - tirx.max(z * sw, pw)
        return total[i, j, y, z, lane] / (rows * columns).astype(source.dtype)

    return [te.compute(view.outputs[0].shape, mean, name="pool_mean")]


def _global_pool(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te, tirx

    x = tensors["self"]
    n, cb, h, w, b = (int(d) for d in x.shape)
    y, z = te.reduce_axis((0, h), name="y"), te.reduce_axis((0, w), name="z")
    total = te.compute(
        (n, cb, b),
        lambda i, j, lane: te.sum(x[i, j, y, z, lane], axis=[y, z]),
        name="global_pool_blocked",
        attrs={"schedule_rule": "pool_blocked"},
    )
    area = tirx.const(h * w, x.dtype)
    return [
        te.compute(view.outputs[0].shape, lambda i, c, u, v: total[i, c // b, c % b] / area, name="pool_mean")
    ]


def _refuse(view: OpView) -> str | None:
    return None if view.first.dtype == "float32" else "blocked pooling is written for float32"


_REDUCES = frozenset({Trait.REDUCTION})
_WINDOW: dict[str, Any] = {"kernel_size": REQUIRED, "stride": REQUIRED, "padding": (0, 0)}

POOLINGS: tuple[OpEntry, ...] = (
    OpEntry(
        "max_pool2d_blocked",
        ("self",),
        _max_reference,
        attrs={**_WINDOW, "dilation": (1, 1), "ceil_mode": False},
        traits=_REDUCES,
        te=Te(_max_pool, _refuse),
        internal=True,
    ),
    OpEntry(
        "avg_pool2d_blocked",
        ("self",),
        _avg_reference,
        attrs={**_WINDOW, "count_include_pad": True},
        traits=_REDUCES,
        te=Te(_avg_pool, _refuse),
        internal=True,
    ),
    OpEntry(
        # adaptive_avg_pool2d to 1x1: blocked in, dense [N, channels, 1, 1] out
        "global_avg_pool2d_blocked",
        ("self",),
        _global_reference,
        attrs={"channels": REQUIRED},
        traits=_REDUCES,
        te=Te(_global_pool, _refuse),
        internal=True,
    ),
)
