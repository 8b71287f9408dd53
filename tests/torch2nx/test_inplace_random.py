"""Random programs of views, in-place ops and slice assignments: the graph computes what eager computes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.torch2nx.compare import same_as_eager

SIZE = 4

#: every value is SIZE x SIZE or a vector of SIZE, so that any two can meet
PURE: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a * 0.5,
    lambda a, b: F.dropout(a, 0.5, training=False),
    lambda a, b: a.contiguous(),
    lambda a, b: a.clone(),
    lambda a, b: torch.relu(a),
    lambda a, b: a.reshape(a.shape),
    lambda a, b: a.detach(),
    lambda a, b: a.to(torch.float32),
]
VIEWS: list[Callable[[Tensor], Tensor]] = [
    lambda a: a.t(),
    lambda a: a[1] if a.dim() == 2 else a,
    lambda a: a[:, 2] if a.dim() == 2 else a,
    lambda a: a.view(2, 2 * SIZE).view(SIZE, SIZE) if a.dim() == 2 and a.is_contiguous() else a,
    lambda a: a.flatten()[-SIZE:],
    lambda a: a.unsqueeze(0).squeeze(0),
    lambda a: a.unbind(0)[0] if a.dim() == 2 else a,
    lambda a: a.flip(0),
]
IN_PLACE: list[Callable[[Tensor, Tensor], object]] = [
    lambda a, b: a.add_((b if b.dim() <= a.dim() else b[0]).clone()),
    lambda a, b: a.mul_(0.5),
    lambda a, b: a.relu_(),
    lambda a, b: a.copy_((b if b.dim() <= a.dim() else b[0]).clone()),
    lambda a, b: a.zero_(),
    lambda a, b: a.clamp_(-0.5, 0.5),
    lambda a, b: a.__setitem__(1, 0.25),
    lambda a, b: a.__setitem__(slice(1, 3), a[0:2].clone()),
    lambda a, b: F.leaky_relu_(a),
]


class Program(nn.Module):
    """The program of a seed: the same calls each time it runs."""

    def __init__(self, seed: int, views: bool) -> None:
        super().__init__()
        self.seed, self.views = seed, views

    def forward(self, x: Tensor, y: Tensor) -> list[Tensor]:
        rng = random.Random(self.seed)
        values = [x + 1, y * 2]
        for _ in range(rng.randint(4, 12)):
            kind = rng.random()
            a, b = rng.choice(values), rng.choice(values)
            if kind < 0.35:
                if a.dim() == b.dim() or self.views:
                    values.append(rng.choice(PURE)(a, b))
            elif kind < 0.6 and self.views:
                values.append(rng.choice(VIEWS)(a))
            else:
                rng.choice(IN_PLACE if self.views else IN_PLACE[:6])(a, b)
        return values


@pytest.mark.parametrize("views", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_random_program(seed: int, views: bool) -> None:
    torch.manual_seed(seed)
    same_as_eager(Program(seed, views), torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE))
