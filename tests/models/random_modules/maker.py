"""What the rules of the grammar grow a case with."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.models.random_modules.programs import Step

_LARGEST = 30_000


class Maker:
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


def of_rank(*ranks: int) -> Callable[[torch.Tensor], bool]:
    return lambda t: t.dim() in ranks and t.is_floating_point()


class WithParameter(nn.Module):
    def __init__(self, shape: tuple[int, ...], call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x, self.weight)


class Buffered(nn.Module):
    def __init__(self, index: torch.Tensor, call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        index = self.get_buffer("index")
        return self.call(x, index)
