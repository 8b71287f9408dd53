"""A pre-norm transformer encoder block and a decoder block with self- and cross-attention."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention on scaled_dot_product_attention; ``mask`` broadcasts to [N,heads,Q,K], True keeps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        q, k, v = (self._split(f(t)) for f, t in ((self.q, x), (self.k, memory), (self.v, memory)))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(y.transpose(1, 2).flatten(2))

    def _split(self, t: torch.Tensor) -> torch.Tensor:
        return t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)


class EncoderBlock(nn.Module):
    """[N,L,64] -> [N,L,64]."""

    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width * 4), nn.GELU(), nn.Linear(width * 4, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = self.norm1(x)
        x = x + self.attention(n, n)
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    """x [N,L,64] attends to itself (causally where ``masked``) and to memory [N,M,64]; gives scores [N,L,20]."""

    def __init__(self, width: int = 64, heads: int = 4, masked: bool = True) -> None:
        super().__init__()
        self.masked = masked
        self.norm1 = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width * 2), nn.GELU("tanh"), nn.Linear(width * 2, width))
        self.scores = nn.Linear(width, 20)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        mask = torch.ones(length, length).tril().bool() if self.masked else None
        n = self.norm1(x)
        x = x + self.self_attention(n, n, mask)
        x = x + self.cross_attention(self.norm2(x), memory)
        x = x + self.mlp(self.norm3(x))
        return F.softmax(self.scores(x), dim=-1)
