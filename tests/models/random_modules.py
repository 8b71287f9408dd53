"""Random small torch modules from a grammar, their comparison with eager PyTorch, and their shrinking.

    python -m tests.models.random_modules 1000 1200    # seeds; prints each failure with its smallest module

A module is a list of steps over a list of values. A step that torch refuses for the values at hand is left out, so
the grammar need not know torch's rules. Shrinking turns a step's result into an input and drops what is not needed.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import optima.runtime as rt
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

#: relative to the scale of an output; eager float32's own distance from float64 comes on top, a few times
TOLERANCE = 1e-4
_LARGEST = 30_000


@dataclass(frozen=True)
class Step:
    """One call: what it is in words, its function (often a module) and the values it reads."""

    text: str
    call: Callable[..., Any]
    reads: tuple[int, ...]


class Program(nn.Module):
    """Values are the inputs, then one for each step; ``returned`` are their numbers."""

    def __init__(self, inputs: int, steps: Sequence[Step], returned: Sequence[int]) -> None:
        super().__init__()
        self.inputs, self.steps, self.returned = inputs, list(steps), list(returned)
        self.parts = nn.ModuleList(s.call for s in steps if isinstance(s.call, nn.Module))

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        known = list(values)
        for step in self.steps:
            known.append(step.call(*(known[i] for i in step.reads)))
        return tuple(known[i] for i in self.returned)


@dataclass(frozen=True)
class Case:
    """A program with its samples, in float32 or float64."""

    inputs: tuple[torch.Tensor, ...]
    steps: tuple[Step, ...]
    returned: tuple[int, ...]

    def module(self) -> Program:
        return Program(len(self.inputs), self.steps, self.returned).eval()

    def __str__(self) -> str:
        lines = [f"v{i} = {_describe(t)}" for i, t in enumerate(self.inputs)]
        for i, step in enumerate(self.steps):
            lines.append(f"v{i + len(self.inputs)} = {step.text}({', '.join(f'v{n}' for n in step.reads)})")
        return "\n".join([*lines, f"return {', '.join(f'v{n}' for n in self.returned)}"])


def _describe(t: torch.Tensor) -> str:
    kind = str(t.dtype).removeprefix("torch.")
    odd = "" if not t.is_floating_point() or bool(torch.isfinite(t).all()) else ", not finite"
    most = f", up to {float(t.abs().max()):.3g}" if t.numel() and t.dtype != torch.bool else ""
    return f"{kind}{list(t.shape)}{most}{odd}"


class _Maker:
    """Grows a case step by step; ``values`` are what eager PyTorch gives."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        torch.manual_seed(seed)
        self.dtype = torch.float64 if self.rng.random() < 0.06 else torch.float32
        self.inputs: list[torch.Tensor] = []
        self.steps: list[Step] = []
        self.values: list[torch.Tensor] = []
        rng = self.rng
        self.batch = rng.choice([1, 1, 2, 3])
        self.channels = rng.choice([1, 3, 4, 8, 13, 16, 17, 24, 32, 33, 40, rng.randint(1, 40)])
        rank = rng.choice([2, 3, 3, 4, 4, 4, 4, 4, 4, 5])
        size = [rng.choice([1, 2, 5, 7, 8, 9, 14, 16, 17, 33, rng.randint(1, 33)]) for _ in range(rank - 2)]
        if rank == 5:
            size = [min(s, 6) for s in size]
        self._input((self.batch, self.channels, *size))
        if rng.random() < 0.3:
            self._input((self.batch, self.channels, *(size if rng.random() < 0.5 else [1] * (rank - 2))))
        scale = rng.random()
        for i, t in enumerate(self.inputs):
            if scale < 0.08:
                self.inputs[i] = t * 1e4
            elif scale < 0.13:
                odd = torch.rand(t.shape) < 0.03
                t[odd] = rng.choice([float("nan"), float("inf"), -float("inf")])
        self.values = list(self.inputs)

    def _input(self, shape: tuple[int, ...]) -> None:
        self.inputs.append(torch.randn(shape, dtype=self.dtype))

    def pick(self, where: Callable[[torch.Tensor], bool] = lambda t: t.is_floating_point()) -> int | None:
        """A value, the latest more often."""
        fitting = [i for i, t in enumerate(self.values) if where(t)]
        if not fitting:
            return None
        return self.rng.choice(fitting[-2:] * 3 + fitting)

    def add(self, text: str, call: Callable[..., Any], *reads: int | None) -> None:
        """Append a step, unless torch refuses it or its result is of no use."""
        if any(r is None for r in reads):
            return
        at = tuple(r for r in reads if r is not None)
        if isinstance(call, nn.Module):
            call = call.to(self.dtype).eval()
        try:
            with torch.no_grad():
                result = call(*(self.values[i].clone() for i in at))
        except (RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError):
            return
        if not isinstance(result, torch.Tensor) or not 0 < result.numel() <= _LARGEST:
            return
        self.steps.append(Step(text, call, at))
        self.values.append(result)


def make(seed: int) -> Case:
    """The case of a seed."""
    m = _Maker(seed)
    want = m.rng.randint(3, 12)
    names = sorted(GRAMMAR)
    weights = [GRAMMAR[n][0] for n in names]
    for _ in range(8 * want):
        if len(m.steps) >= want:
            break
        (name,) = m.rng.choices(names, weights)
        GRAMMAR[name][1](m)
    n = len(m.inputs)
    last = len(m.values) - 1
    extra = [i for i in range(n, last) if m.rng.random() < 0.12]
    read = {r for s in m.steps for r in s.reads}
    loose = [i for i in range(n, last) if i not in read and m.rng.random() < 0.7]
    return without_dead(Case(tuple(m.inputs), tuple(m.steps), tuple(sorted({*extra, *loose, last}))))


# --- the grammar: each rule draws its own arguments ---


def _rank(*ranks: int) -> Callable[[torch.Tensor], bool]:
    return lambda t: t.dim() in ranks and t.is_floating_point()


def _conv(m: _Maker) -> None:
    x = m.pick(_rank(3, 4, 5))
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
        _batch_norm(m)
    if rng.random() < 0.4:
        _activation(m)


def _conv_transpose(m: _Maker) -> None:
    x = m.pick(_rank(3, 4, 5))
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
        _batch_norm(m)


def _batch_norm(m: _Maker) -> None:
    x = m.pick(_rank(2, 3, 4, 5))
    if x is None:
        return
    t = m.values[x]
    types: Any = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[t.dim()]
    norm = types(t.shape[1], eps=m.rng.choice([1e-5, 1e-3]), affine=m.rng.random() < 0.85)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.3, 2.0)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    m.add(str(norm), norm, x)


_ACTIVATIONS: tuple[tuple[str, Callable[[torch.Tensor], torch.Tensor]], ...] = (
    ("relu", F.relu),
    ("relu6", F.relu6),
    ("hardtanh(-0.5, 0.7)", lambda t: F.hardtanh(t, -0.5, 0.7)),
    ("silu", F.silu),
    ("gelu", F.gelu),
    ("gelu(tanh)", lambda t: F.gelu(t, approximate="tanh")),
    ("sigmoid", torch.sigmoid),
    ("tanh", torch.tanh),
    ("hardswish", F.hardswish),
    ("hardsigmoid", F.hardsigmoid),
    ("leaky_relu(0.1)", lambda t: F.leaky_relu(t, 0.1)),
    ("elu", F.elu),
    ("selu", F.selu),
    ("mish", F.mish),
    ("softplus", F.softplus),
    ("clamp(min=0.1)", lambda t: t.clamp(min=0.1)),
    ("abs", torch.abs),
    ("neg", torch.neg),
    ("square", torch.square),
    ("exp(-abs)", lambda t: torch.exp(-t.abs())),
    ("sqrt(abs)", lambda t: torch.sqrt(t.abs())),
    ("log1p(abs)", lambda t: torch.log1p(t.abs())),
    ("cos", torch.cos),
    ("erf", torch.erf),
    ("rsqrt(1 + square)", lambda t: torch.rsqrt(1 + t * t)),
    ("t * sigmoid(t)", lambda t: t * torch.sigmoid(t)),
    ("nan_to_num", torch.nan_to_num),
    ("where(t > 0)", lambda t: torch.where(t > 0, t, t * 0.3 - 1)),
    ("masked_fill(t > 0.5)", lambda t: t.masked_fill(t > 0.5, 0.25)),
)


def _activation(m: _Maker) -> None:
    if m.rng.random() < 0.1:
        x = m.pick(lambda t: t.dim() >= 2 and t.is_floating_point())
        if x is not None:
            prelu = nn.PReLU(m.rng.choice([1, m.values[x].shape[1]]))
            nn.init.normal_(prelu.weight)
            m.add(str(prelu), prelu, x)
        return
    text, call = m.rng.choice(_ACTIVATIONS)
    m.add(text, call, m.pick())


_PAIRS: tuple[tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]], ...] = (
    ("add", torch.add),
    ("add", torch.add),
    ("mul", torch.mul),
    ("sub", torch.sub),
    ("add(alpha=0.5)", lambda a, b: torch.add(a, b, alpha=0.5)),
    ("div(a, 1 + |b|)", lambda a, b: a / (1 + b.abs())),
    ("maximum", torch.maximum),
    ("minimum", torch.minimum),
    ("where(a > b)", lambda a, b: torch.where(a > b, a, b * 0.5)),
    ("a * sigmoid(b)", lambda a, b: a * torch.sigmoid(b)),
)


def _pair(m: _Maker) -> None:
    a = m.pick()
    if a is None:
        return
    shape = m.values[a].shape

    def broadcasts(t: torch.Tensor) -> bool:
        if not t.is_floating_point():
            return False
        try:
            return m.rng.random() < 0.9 and torch.broadcast_shapes(t.shape, shape) is not None
        except RuntimeError:
            return False

    same = [i for i, t in enumerate(m.values) if t.shape == shape and t.is_floating_point()]
    b = m.rng.choice(same) if m.rng.random() < 0.6 else m.pick(broadcasts)
    text, call = m.rng.choice(_PAIRS)
    m.add(text, call, *((a, b) if m.rng.random() < 0.5 else (b, a)))


class _WithParameter(nn.Module):
    def __init__(self, shape: tuple[int, ...], call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x, self.weight)


def _with_constant(m: _Maker) -> None:
    a = m.pick()
    if a is None:
        return
    rng = m.rng
    if rng.random() < 0.35:
        c = rng.choice([0.5, -1.5, 2.0, 0.0, 1.0, 3])
        text, call = rng.choice([
            (f"t + {c}", lambda t: t + c),
            (f"t * {c}", lambda t: t * c),
            (f"{c} - t", lambda t: c - t),
            (f"{c} / (2 + |t|)", lambda t: c / (2 + t.abs())),
            (f"t / {c or 3}", lambda t: t / (c or 3)),
            (f"maximum(t, {c})", lambda t: torch.clamp_min(t, c)),
        ])  # fmt: skip
        m.add(text, call, a)
        return
    full = tuple(m.values[a].shape)
    start = rng.randint(0, len(full))
    shape = tuple(d if rng.random() < 0.5 else 1 for d in full)[start:]
    if len(full) > 1 and rng.random() < 0.5:
        shape = (full[1], *[1] * (len(full) - 2))
    text, pair = rng.choice(_PAIRS)
    m.add(f"{text} with a parameter {list(shape)}", _WithParameter(shape, pair), a)


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, gate: Callable[[torch.Tensor], torch.Tensor], mean: bool) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.gate, self.mean = gate, mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = x.mean((2, 3), keepdim=True) if self.mean else F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.up(F.relu(self.down(s))))


def _squeeze_excite(m: _Maker) -> None:
    x = m.pick(_rank(4))
    if x is not None:
        gate = m.rng.choice([torch.sigmoid, F.hardsigmoid])
        m.add("squeeze-excite", _SqueezeExcite(m.values[x].shape[1], gate, m.rng.random() < 0.5), x)


def _pool(m: _Maker) -> None:
    x = m.pick(_rank(3, 4, 5))
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


def _cat(m: _Maker) -> None:
    x = m.pick()
    if x is None or m.values[x].dim() == 0:
        return
    rng, shape = m.rng, m.values[x].shape
    dim = rng.choice([1, 1, 1, *range(len(shape))]) % len(shape)
    fitting = [
        i
        for i, t in enumerate(m.values)
        if t.dim() == len(shape) and t.is_floating_point()
        and all(a == b for k, (a, b) in enumerate(zip(t.shape, shape, strict=True)) if k != dim)
    ]  # fmt: skip
    chosen = rng.choices(fitting, k=rng.randint(1, 3))
    m.add(f"cat(dim={dim})", lambda *t: torch.cat(t, dim), x, *chosen)


def _stack(m: _Maker) -> None:
    x = m.pick()
    if x is None or m.values[x].dim() > 4:
        return
    same = [i for i, t in enumerate(m.values) if t.shape == m.values[x].shape and t.dtype == m.values[x].dtype]
    dim = m.rng.randint(0, m.values[x].dim())
    m.add(f"stack(dim={dim})", lambda *t: torch.stack(t, dim), x, m.rng.choice(same))


def _part(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() > 0 and t.is_floating_point())
    if x is None:
        return
    rng, shape = m.rng, m.values[x].shape
    dim = rng.choice([min(1, len(shape) - 1), rng.randrange(len(shape))])
    size, kind = shape[dim], rng.randrange(5)
    if kind == 0:
        n = rng.randint(1, min(4, size))
        i = rng.randrange(len(torch.arange(size).chunk(n)))
        m.add(f"chunk({n}, {dim})[{i}]", lambda t: t.chunk(n, dim)[i], x)
    elif kind == 1:
        n = rng.randint(1, size)
        sizes = [n, size - n] if size > n else [n]
        i = rng.randrange(len(sizes))
        m.add(f"split({sizes}, {dim})[{i}]", lambda t: t.split(sizes, dim)[i], x)
        if len(sizes) == 2 and rng.random() < 0.6:
            m.add(f"split({sizes}, {dim})[{1 - i}]", lambda t: t.split(sizes, dim)[1 - i], x)
    elif kind == 2:
        lo = rng.randrange(size)
        hi, step = rng.randint(lo + 1, size), rng.choice([1, 1, 2, 3])
        m.add(f"slice({dim}, {lo}:{hi}:{step})", lambda t: t[(slice(None),) * dim + (slice(lo, hi, step),)], x)
    elif kind == 3:
        i = rng.randrange(-size, size)
        m.add(f"select({dim}, {i})", lambda t: t.select(dim, i), x)
    else:
        index = torch.tensor([rng.randrange(size) for _ in range(rng.randint(1, 5))])
        m.add(f"index_select({dim}, {index.tolist()})", _Buffered(index, lambda t, n: t.index_select(dim, n)), x)


class _Buffered(nn.Module):
    def __init__(self, index: torch.Tensor, call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        index = self.get_buffer("index")
        return self.call(x, index)


def _pad(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() > 1 and t.is_floating_point())
    if x is None:
        return
    rng, rank = m.rng, m.values[x].dim()
    if rank > 2 and rng.random() < 0.3:
        mode = rng.choice(["reflect", "replicate", "circular"])
        sides = [rng.randint(0, 2) for _ in range(2 * (rank - 2))]
        m.add(f"pad({sides}, {mode})", lambda t: F.pad(t, sides, mode), x)
        return
    sides = [rng.choice([0, 1, 2, -1 if rng.random() < 0.2 else 0]) for _ in range(2 * rng.randint(1, rank))]
    value = rng.choice([0.0, 0.0, 1.5, -float("inf") if rng.random() < 0.1 else 0.5])
    m.add(f"pad({sides}, value={value})", lambda t: F.pad(t, sides, value=value), x)


def _view(m: _Maker) -> None:
    x = m.pick()
    if x is None:
        return
    rng, shape = m.rng, tuple(m.values[x].shape)
    rank, kind = len(shape), rng.randrange(8)
    if kind <= 1 and rank > 1:
        order = rng.sample(range(rank), rank)
        m.add(f"permute({order})", lambda t: t.permute(order), x)
    elif kind == 2 and rank > 1:
        start = rng.randrange(rank - 1)
        end = rng.randrange(start, rank)
        m.add(f"flatten({start}, {end})", lambda t: t.flatten(start, end), x)
    elif kind == 3:
        at = rng.randint(0, rank)
        m.add(f"unsqueeze({at})", lambda t: t.unsqueeze(at), x)
    elif kind == 4 and rank > 1:
        whole = [1, *[d for d in shape if d > 1]]
        new = whole if rng.random() < 0.3 else rng.sample(shape, rank)
        m.add(f"reshape({new})", lambda t: t.reshape(new), x)
    elif kind == 5 and rank == 4:
        c = shape[1]
        g = rng.choice([d for d in range(1, c + 1) if c % d == 0])
        m.add(f"channel_shuffle({g})", lambda t: F.channel_shuffle(t, g), x)
    elif kind == 6 and rank:
        dim = rng.randrange(rank)
        m.add(f"flip({dim})", lambda t: t.flip(dim), x)
    elif kind == 7 and rank == 4:
        r = rng.choice([2, 3])
        m.add(f"pixel_unshuffle/shuffle({r})", (lambda t: F.pixel_shuffle(t, r)) if shape[1] % (r * r) == 0
              else (lambda t: F.pixel_unshuffle(t, r)), x)  # fmt: skip


def _upsample(m: _Maker) -> None:
    x = m.pick(_rank(3, 4, 5))
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


def _linear(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() >= 1 and t.is_floating_point())
    if x is not None:
        linear = nn.Linear(m.values[x].shape[-1], m.rng.choice([1, 3, 8, 16, 17, 31, 32, 40]), m.rng.random() < 0.7)
        m.add(str(linear), linear, x)
        if m.rng.random() < 0.2 and m.values[-1].dim() == 2:
            _batch_norm(m)


def _matmul(m: _Maker) -> None:
    a = m.pick(lambda t: t.dim() >= 2 and t.is_floating_point())
    if a is None:
        return
    shape = m.values[a].shape
    kind = m.rng.random()
    if kind < 0.35:
        m.add("a @ a.mT / 8", lambda t: t @ t.mT / 8, a)
    elif kind < 0.5:
        m.add("a.mT @ a / 8", lambda t: t.mT @ t / 8, a)
    elif kind < 0.7:
        n = m.rng.choice([1, 5, 16, 33])
        m.add(f"matmul a parameter [{shape[-1]}, {n}]", _WithParameter((shape[-1], n), torch.matmul), a)
    else:
        b = m.pick(lambda t: t.dim() >= 1 and t.is_floating_point())
        m.add("matmul", torch.matmul, a, b)


def _softmax(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() > 0 and t.is_floating_point())
    if x is None:
        return
    dim = m.rng.randrange(m.values[x].dim())
    call = m.rng.choice([torch.softmax, torch.log_softmax])
    m.add(f"{call.__name__}({dim})", lambda t: call(t, dim), x)


def _norm(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() >= 2 and t.is_floating_point())
    if x is None:
        return
    rng, shape = m.rng, m.values[x].shape
    kind = rng.randrange(4)
    if kind == 0:
        n = rng.randint(1, min(3, len(shape)))
        norm: nn.Module = nn.LayerNorm(list(shape[-n:]), elementwise_affine=rng.random() < 0.7)
    elif kind == 1:
        norm = nn.GroupNorm(rng.choice([d for d in range(1, shape[1] + 1) if shape[1] % d == 0]), shape[1])
    elif kind == 2 and len(shape) > 2:
        types: Any = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
        if len(shape) > 5:
            return
        norm = types[len(shape)](shape[1], affine=rng.random() < 0.5)
    else:
        norm = nn.RMSNorm(shape[-1])
    for p in norm.parameters():
        nn.init.normal_(p)
    m.add(str(norm), norm, x)


def _attention(m: _Maker) -> None:
    # torch's own fused kernel loses NaN and infinities: there is nothing to compare with.
    x = m.pick(lambda t: t.dim() in (3, 4) and t.is_floating_point() and bool(torch.isfinite(t).all()))
    if x is None:
        return
    rng, shape = m.rng, m.values[x].shape
    causal, keys = rng.random() < 0.3, rng.randint(1, 9)
    if rng.random() < 0.3:
        mask = torch.rand(shape[-2], shape[-2]) > 0.3 if rng.random() < 0.5 else torch.randn(shape[-2], shape[-2])
        if mask.dtype == torch.bool:
            mask |= torch.eye(shape[-2], dtype=torch.bool)
        m.add(f"attention(mask {mask.dtype})",
              _Buffered(mask, lambda t, k: F.scaled_dot_product_attention(t, t, t * 0.5, k)), x)  # fmt: skip
    elif rng.random() < 0.5:
        m.add(f"attention(causal={causal})",
              lambda t: F.scaled_dot_product_attention(t, t, t * 0.5, is_causal=causal), x)  # fmt: skip
    else:
        weight = _WithParameter((keys, shape[-2]), lambda t, w: F.scaled_dot_product_attention(t, w @ t, w @ t))
        m.add(f"attention over {keys} keys", weight, x)


def _reduce(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() > 0 and t.is_floating_point())
    if x is None:
        return
    rng, rank = m.rng, m.values[x].dim()
    dims = sorted(rng.sample(range(rank), rng.randint(1, rank)))
    if rank == 4 and rng.random() < 0.4:
        dims = [2, 3]
    keep = rng.random() < 0.6
    calls: list[tuple[str, Callable[..., torch.Tensor]]] = [
        ("mean", lambda t: t.mean(dims, keepdim=keep)),
        ("sum", lambda t: t.sum(dims, keepdim=keep)),
        ("amax", lambda t: t.amax(dims, keepdim=keep)),
        ("amin", lambda t: t.amin(dims, keepdim=keep)),
        ("var", lambda t: t.var(dims, unbiased=False, keepdim=keep)),
        ("logsumexp", lambda t: t.logsumexp(dims, keepdim=keep)),
        ("norm", lambda t: torch.linalg.vector_norm(t, dim=dims, keepdim=keep)),
        ("max", lambda t: t.max(dims[0], keepdim=keep)[0]),
        ("cumsum", lambda t: t.cumsum(dims[0])),
    ]
    text, call = rng.choice(calls)
    m.add(f"{text}({dims}, keepdim={keep})", call, x)


def _expand(m: _Maker) -> None:
    x = m.pick(lambda t: 1 in t.shape and t.is_floating_point())
    if x is None:
        return
    shape = [m.rng.randint(1, 5) if d == 1 and m.rng.random() < 0.7 else d for d in m.values[x].shape]
    m.add(f"expand({shape})", lambda t: t.expand(shape), x)


def _embedding(m: _Maker) -> None:
    x = m.pick(lambda t: t.dim() <= 3 and t.is_floating_point() and t.numel() < 500)
    if x is not None:
        table = nn.Embedding(7, m.rng.choice([3, 8, 16]))
        m.add("embedding of floor(|t|) % 7", _Embedded(table), x)


class _Embedded(nn.Module):
    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.table((x > 0).long() * 3 + (x > 1).long())
        return result


def _residual(m: _Maker) -> None:
    """conv, normalise, activate, and add what came in."""
    x = m.pick(_rank(4))
    if x is None:
        return
    c = m.values[x].shape[1]
    conv = nn.Conv2d(c, c, 3, padding=1, bias=m.rng.random() < 0.5)
    m.add(str(conv), conv, x)
    conv_out = len(m.values) - 1
    if m.rng.random() < 0.5:
        _batch_norm(m)
    text, call = m.rng.choice(_ACTIVATIONS[:11])
    m.add(text, call, len(m.values) - 1)
    m.add("add", torch.add, x, m.rng.choice([len(m.values) - 1, conv_out]))


GRAMMAR: dict[str, tuple[float, Callable[[_Maker], None]]] = {
    "activation": (4, _activation),
    "attention": (0.7, _attention),
    "batch_norm": (1.5, _batch_norm),
    "cat": (2, _cat),
    "constant": (2.5, _with_constant),
    "conv": (7, _conv),
    "conv_transpose": (1, _conv_transpose),
    "embedding": (0.3, _embedding),
    "expand": (0.4, _expand),
    "linear": (1.5, _linear),
    "matmul": (1, _matmul),
    "norm": (1.2, _norm),
    "pad": (0.8, _pad),
    "pair": (4, _pair),
    "part": (2, _part),
    "pool": (3, _pool),
    "reduce": (1.5, _reduce),
    "residual": (1.5, _residual),
    "softmax": (0.8, _softmax),
    "squeeze_excite": (1, _squeeze_excite),
    "stack": (0.5, _stack),
    "upsample": (1, _upsample),
    "view": (2, _view),
}


# --- comparison ---


def difference(case: Case, seed: int = 0, maps: Sequence[str] = ("one", "alternating", "random")) -> str:
    """Why the compiled case differs from eager PyTorch under one of the maps, or "" where it does not."""
    module = case.module()
    with torch.no_grad():
        expected = [t.numpy() for t in module(*(t.clone() for t in case.inputs))]
    allowed = _allowed(case, expected)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[t.clone() for t in case.inputs], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    found: dict[str, list[Any]] = {}
    for label in maps:
        with tempfile.TemporaryDirectory(prefix="optima-random-") as folder:
            path = Path(folder) / "map.json"
            path.write_text(json.dumps(_placement(label, names, seed)))
            kinds = [DeviceEnum.DEVICE_KIND_X64]
            made = Manager().optimize("case", kinds, graph, folder, path, progress=False)
            result = rt.Context().load_model(made.path)(*(t.numpy() for t in case.inputs))
            found[label] = [np.array(r) for r in (result if isinstance(result, list | tuple) else [result])]
    for label, results in found.items():
        for i, (want, got, most) in enumerate(zip(expected, results, allowed, strict=True)):
            why = _unequal(want, got, most)
            if why:
                return f"map {label}, output {i} (v{case.returned[i]}): {why}"
    for label, results in found.items():
        for i, (one, other, most) in enumerate(zip(found[maps[0]], results, allowed, strict=True)):
            why = _unequal(one, other, most)
            if why:
                return f"map {label} against {maps[0]}, output {i}: {why}"
    return ""


def _placement(label: str, names: Sequence[str], seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    devices: dict[str, Iterator[int]] = {
        "one": itertools.repeat(0),
        "alternating": itertools.cycle([0, 1]),
        "random": iter(lambda: rng.randrange(3), -1),
    }
    return {n: f"X64:{next(devices[label])}" for n in names}


def _allowed(case: Case, expected: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    """How far each output may be off: TOLERANCE of its scale, and what float32 itself loses, a few times."""
    wide = [Step(s.text, _widened(s.call), s.reads) for s in case.steps]
    exact: Sequence[Any] = expected
    try:
        with torch.no_grad():
            values = [t.double() if t.is_floating_point() else t for t in case.inputs]
            exact = [t.numpy() for t in Program(len(values), wide, case.returned).eval()(*values)]
    except RuntimeError:
        pass  # a mask or a buffer of its own type: the plain tolerance has to do
    result = []
    for value, other in zip(expected, exact, strict=True):
        finite = np.isfinite(value) & np.isfinite(other)
        if value.dtype.kind != "f" or not finite.any():
            result.append(0.0)
            continue
        lost = np.abs(value[finite] - other[finite]).max()
        result.append(TOLERANCE * float(np.abs(value[finite]).max()) + 20 * float(lost))
    return result


def _widened(call: Any) -> Any:
    import copy

    return copy.deepcopy(call).double() if isinstance(call, nn.Module) else call


def _unequal(want: np.ndarray[Any, Any], got: np.ndarray[Any, Any], most: float) -> str:
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"{got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if want.dtype.kind != "f":
        return "" if bool((want == got).all()) else f"{int((want != got).sum())} of {want.size} elements"
    finite = np.isfinite(want)
    if not bool((np.isnan(want) == np.isnan(got)).all()):
        return f"NaN at {int(np.isnan(got).sum())} places instead of {int(np.isnan(want).sum())} of {want.size}"
    if not bool((want[~finite & ~np.isnan(want)] == got[~finite & ~np.isnan(want)]).all()):
        return "infinities differ"
    worst = np.abs(want[finite] - got[finite]).max() if finite.any() else 0.0
    return "" if worst <= most else f"off by {worst:.3g}, {most:.3g} allowed"


def failure(case: Case, seed: int = 0, maps: Sequence[str] = ("one", "alternating", "random")) -> str:
    """As ``difference``; a refusal or an error is a failure, too."""
    try:
        return difference(case, seed, maps)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:1500]}"


# --- shrinking ---


def without_dead(case: Case) -> Case:
    """The case without steps and inputs that no output needs."""
    n = len(case.inputs)
    live = set(case.returned)
    for i in reversed(range(len(case.steps))):
        if i + n in live:
            live.update(case.steps[i].reads)
    kept = [i for i in range(n + len(case.steps)) if i in live]
    number = {old: new for new, old in enumerate(kept)}
    steps = [replace(s, reads=tuple(number[r] for r in s.reads)) for i, s in enumerate(case.steps) if i + n in live]
    inputs = [t for i, t in enumerate(case.inputs) if i in live]
    return Case(tuple(inputs), tuple(steps), tuple(number[r] for r in case.returned))


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A case with fewest steps that still fails: outputs are dropped and results of steps become inputs."""
    for i in reversed(range(len(case.returned))):
        if len(case.returned) > 1:
            fewer = without_dead(replace(case, returned=case.returned[:i] + case.returned[i + 1 :]))
            if i < len(case.returned) and fails(fewer):
                case = fewer
    i = 0
    while i < len(case.steps):
        cut = _cut(case, i)
        if cut is not None and fails(cut):
            case, i = cut, 0
        else:
            i += 1
    for i in reversed(range(len(case.steps))):  # end earlier: return what a step reads
        shorter = without_dead(replace(case, returned=(len(case.inputs) + i,)))
        if len(shorter.steps) < len(case.steps) and fails(shorter):
            case = shorter
    return case


def _cut(case: Case, i: int) -> Case | None:
    """The case with the result of step ``i`` as one more input."""
    n = len(case.inputs)
    if n + i in case.returned:
        return None
    with torch.no_grad():
        (value,) = Program(n, case.steps, [n + i]).eval()(*case.inputs)

    def moved(r: int) -> int:
        if r == n + i:
            return n
        return r + 1 if n <= r < n + i else r

    steps = [replace(s, reads=tuple(map(moved, s.reads))) for k, s in enumerate(case.steps) if k != i]
    return without_dead(Case((*case.inputs, value.contiguous()), tuple(steps), tuple(map(moved, case.returned))))


def main(first: int, last: int) -> None:
    """Try the seeds from ``first`` to before ``last``."""
    say = sys.stdout.write
    for seed in range(first, last):
        case = make(seed)
        why = failure(case, seed)
        if why:
            small = smallest(case, lambda c, seed=seed: bool(failure(c, seed)))  # type: ignore[misc]
            say(f"--- seed {seed}: {why}\nsmallest: {failure(small, seed)}\n{small}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
