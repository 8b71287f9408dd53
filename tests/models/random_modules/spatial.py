"""Rules: convolutions, pooling, resizing and the blocks that networks make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.random_modules.maker import Maker, of_rank
from tests.models.random_modules.normalising import batch_norm
from tests.models.random_modules.pointwise import ACTIVATIONS, activation


def conv(m: Maker) -> None:
    x = m.pick(of_rank(3, 4, 5))
    if x is None:
        return
    shape, rng = m.values[x].shape, m.rng
    nd = len(shape) - 2
    ci = shape[1]
    co = rng.choice([ci, 1, 3, 8, 16, 17, 24, 32, rng.randint(1, 40)])
    groups = 1
    kind = rng.random()
    if kind < 0.2:
        groups, co = ci, ci * rng.choice([1, 1, 1, 2])
    elif kind < 0.4:
        groups = rng.choice([g for g in range(1, ci + 1) if ci % g == 0])
        co = groups * rng.randint(1, max(1, 40 // groups))
    kernel = (
        tuple(rng.choice([1, 1, 2, 3, 3, 3, 5]) for _ in range(nd))
        if rng.random() < 0.3
        else ((rng.choice([1, 1, 3, 3, 3, 5, 7]),) * nd)
    )
    dilation = rng.choice([1, 1, 1, 2])
    padding: Any = rng.choice([0, "same", "valid", *[tuple(k * dilation // 2 for k in kernel)] * 4, 1])
    stride = 1 if padding == "same" else rng.choice([1, 1, 1, 2, 3])
    bias = rng.random() < 0.6
    plain = rng.random() < 0.95 or isinstance(padding, str)
    mode = "zeros" if plain else rng.choice(["reflect", "replicate", "circular"])
    types: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[nd]
    try:
        conv = types(ci, co, kernel, stride, padding, dilation, groups, bias, padding_mode=mode)
    except ValueError:
        return
    m.add(str(conv), conv, x)
    if rng.random() < 0.35:
        batch_norm(m)
    if rng.random() < 0.4:
        activation(m)


def conv_transpose(m: Maker) -> None:
    x = m.pick(of_rank(3, 4, 5))
    if x is None:
        return
    shape, rng = m.values[x].shape, m.rng
    nd, ci = len(shape) - 2, shape[1]
    groups = rng.choice([1, 1, *[g for g in range(1, ci + 1) if ci % g == 0]])
    co = groups * rng.randint(1, max(1, 24 // groups))
    stride = rng.choice([1, 2, 2, 3])
    types: Any = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[nd]
    conv = types(ci, co, rng.choice([1, 2, 3, 4]), stride, rng.choice([0, 0, 1]), rng.choice([0, 0, stride - 1]),
                 groups, rng.random() < 0.5, rng.choice([1, 1, 2]))  # fmt: skip
    m.add(str(conv), conv, x)
    if rng.random() < 0.3:
        batch_norm(m)


def pool(m: Maker) -> None:
    x = m.pick(of_rank(3, 4, 5))
    if x is None:
        return
    rng, nd = m.rng, m.values[x].dim() - 2
    kernel: Any = rng.choice([1, 2, 2, 3, 3, 5, tuple(rng.choice([1, 2, 3]) for _ in range(nd))])
    stride = rng.choice([None, 1, 2, 2, 3])
    pad = 0 if not isinstance(kernel, int) or rng.random() < 0.4 else rng.randint(0, kernel // 2)
    ceil = rng.random() < 0.4
    kind = rng.random()
    if kind < 0.4:
        pool: nn.Module = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[nd](
            kernel, stride, pad, rng.choice([1, 1, 1, 2]), ceil_mode=ceil)  # fmt: skip
        text = str(pool)
    elif kind < 0.7:
        include = rng.random() < 0.5
        pool = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[nd](kernel, stride, pad, ceil, include)
        text = f"{pool}, ceil={ceil}, include={include}"
    elif kind < 0.9:
        pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[nd](
            rng.choice([1, 1, 2, 3, 5, 7]))  # fmt: skip
        text = str(pool)
    else:
        pool = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}[nd](rng.choice([1, 2, 3, 5]))
        text = str(pool)
    m.add(text, pool, x)


def upsample(m: Maker) -> None:
    x = m.pick(of_rank(3, 4, 5))
    if x is None:
        return
    rng, rank = m.rng, m.values[x].dim()
    mode = rng.choice(["nearest", {3: "linear", 4: "bilinear", 5: "nearest"}[rank]])
    align = None if mode == "nearest" else rng.random() < 0.5
    if rng.random() < 0.5:
        scale = rng.choice([2, 2, 3, 1.5, 0.5])
        m.add(f"interpolate(x{scale}, {mode}, {align})",
              lambda t: F.interpolate(t, scale_factor=scale, mode=mode, align_corners=align), x)  # fmt: skip
    else:
        size = [rng.randint(1, 12) for _ in range(rank - 2)]
        m.add(f"interpolate({size}, {mode}, {align})",
              lambda t: F.interpolate(t, size=size, mode=mode, align_corners=align), x)  # fmt: skip


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, gate: Callable[[torch.Tensor], torch.Tensor], mean: bool) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.gate, self.mean = gate, mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = x.mean((2, 3), keepdim=True) if self.mean else F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.up(F.relu(self.down(s))))


def squeeze_excite(m: Maker) -> None:
    x = m.pick(of_rank(4))
    if x is not None:
        gate = m.rng.choice([torch.sigmoid, F.hardsigmoid])
        m.add("squeeze-excite", _SqueezeExcite(m.values[x].shape[1], gate, m.rng.random() < 0.5), x)


def residual(m: Maker) -> None:
    """conv, normalise, activate, and add what came in."""
    x = m.pick(of_rank(4))
    if x is None:
        return
    c = m.values[x].shape[1]
    conv = nn.Conv2d(c, c, 3, padding=1, bias=m.rng.random() < 0.5)
    m.add(str(conv), conv, x)
    conv_out = len(m.values) - 1
    if m.rng.random() < 0.5:
        batch_norm(m)
    text, call = m.rng.choice(ACTIVATIONS[:11])
    m.add(text, call, len(m.values) - 1)
    m.add("add", torch.add, x, m.rng.choice([len(m.values) - 1, conv_out]))
