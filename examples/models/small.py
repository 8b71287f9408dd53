"""The tutorial's model, and one with two inputs and two outputs."""

from __future__ import annotations

import torch
from torch import nn


class SampleModel(nn.Module):
    """One convolution and one addition: x is [N,3,H,W], y is [N,1,H,W]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, 1, 1, bias=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out1 = self.conv(x)
        return out1 + y


class TwoInTwoOut(nn.Module):
    """Two inputs [N,8]; returns a dict of two outputs that share a trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(8, 16)
        self.right = nn.Linear(8, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        both = torch.tanh(self.left(x)) * torch.sigmoid(self.right(y))
        return {"logits": self.head(both), "energy": (both * both).sum(dim=-1)}
