"""Rules: activations, pairs of values, constants and parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.random_modules.maker import Maker, WithParameter

ACTIVATIONS: tuple[tuple[str, Callable[[torch.Tensor], torch.Tensor]], ...] = (
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


def activation(m: Maker) -> None:
    if m.rng.random() < 0.1:
        x = m.pick(lambda t: t.dim() >= 2 and t.is_floating_point())
        if x is not None:
            prelu = nn.PReLU(m.rng.choice([1, m.values[x].shape[1]]))
            nn.init.normal_(prelu.weight)
            m.add(str(prelu), prelu, x)
        return
    text, call = m.rng.choice(ACTIVATIONS)
    m.add(text, call, m.pick())


PAIRS: tuple[tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]], ...] = (
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


def pair(m: Maker) -> None:
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
    text, call = m.rng.choice(PAIRS)
    m.add(text, call, *((a, b) if m.rng.random() < 0.5 else (b, a)))


def with_constant(m: Maker) -> None:
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
    text, pair = rng.choice(PAIRS)
    m.add(f"{text} with a parameter {list(shape)}", WithParameter(shape, pair), a)
