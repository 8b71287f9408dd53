"""Rules: matrix products, attention, reductions and embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.random_modules.maker import Buffered, Maker, WithParameter
from tests.models.random_modules.normalising import batch_norm


def linear(m: Maker) -> None:
    x = m.pick(lambda t: t.dim() >= 1 and t.is_floating_point())
    if x is not None:
        linear = nn.Linear(m.values[x].shape[-1], m.rng.choice([1, 3, 8, 16, 17, 31, 32, 40]), m.rng.random() < 0.7)
        m.add(str(linear), linear, x)
        if m.rng.random() < 0.2 and m.values[-1].dim() == 2:
            batch_norm(m)


def matmul(m: Maker) -> None:
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
        m.add(f"matmul a parameter [{shape[-1]}, {n}]", WithParameter((shape[-1], n), torch.matmul), a)
    else:
        b = m.pick(lambda t: t.dim() >= 1 and t.is_floating_point())
        m.add("matmul", torch.matmul, a, b)


def attention(m: Maker) -> None:
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
              Buffered(mask, lambda t, k: F.scaled_dot_product_attention(t, t, t * 0.5, k)), x)  # fmt: skip
    elif rng.random() < 0.5:
        m.add(f"attention(causal={causal})",
              lambda t: F.scaled_dot_product_attention(t, t, t * 0.5, is_causal=causal), x)  # fmt: skip
    else:
        weight = WithParameter((keys, shape[-2]), lambda t, w: F.scaled_dot_product_attention(t, w @ t, w @ t))
        m.add(f"attention over {keys} keys", weight, x)


def reduce(m: Maker) -> None:
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


def embedding(m: Maker) -> None:
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
