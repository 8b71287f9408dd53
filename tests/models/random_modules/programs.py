"""A random module: steps over a list of values, and the case that it makes with its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


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
