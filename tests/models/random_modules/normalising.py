"""Rules: normalisations and softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.models.random_modules.maker import Maker, of_rank


def batch_norm(m: Maker) -> None:
    x = m.pick(of_rank(2, 3, 4, 5))
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


def norm(m: Maker) -> None:
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


def softmax(m: Maker) -> None:
    x = m.pick(lambda t: t.dim() > 0 and t.is_floating_point())
    if x is None:
        return
    dim = m.rng.randrange(m.values[x].dim())
    call = m.rng.choice([torch.softmax, torch.log_softmax])
    m.add(f"{call.__name__}({dim})", lambda t: call(t, dim), x)
