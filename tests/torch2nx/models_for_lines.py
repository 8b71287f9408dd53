"""A model whose ops stand in a method, a free function, a loop and a nested module (for tests of origins)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn


def scale(x: Tensor, by: Tensor) -> Tensor:
    return x * by  # free function


def through_the_library(tensors: list[Tensor]) -> Tensor:
    return functools.reduce(lambda a, b: a - b, tensors)  # inside a lambda


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def body(self, x: Tensor) -> Tensor:
        return torch.relu(
            self.conv(x)  # in a method
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Lines(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Block(), Block()])
        self.k = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        x = scale(x, self.k)
        return through_the_library([x, x.sigmoid()])
