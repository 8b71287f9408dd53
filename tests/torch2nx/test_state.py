"""State kept in Python: refused where a second call would give something else, accepted where it is a memo."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.torch2nx.compare import convert, same_as_eager
from torch2nx.errors import ConvertError


class Window(nn.Module):
    """Keeps the last columns in a buffer, by assignment."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cache", torch.zeros(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.cache, x], 1)
        self.cache = both[:, -1:]
        return both * 2


class Hidden(nn.Module):
    """Keeps a plain tensor, from None on."""

    def __init__(self) -> None:
        super().__init__()
        self.h: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.h = x if self.h is None else x + self.h
        return self.h


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.past = [torch.zeros(2, 3)]

    def forward(self, x: Tensor) -> Tensor:
        self.past[0] = self.past[0] + x
        return self.past[0]


class Counted(nn.Module):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Memo(nn.Module):
    """A table made at the first call, and a size: the second call gives the same."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Tensor | None = None
        self.width = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None or self.width != x.shape[1]:
            self.table, self.width = torch.arange(x.shape[1], dtype=x.dtype), x.shape[1]
        return x + self.table


class Alternating(nn.Module):
    """A memory of which parameter was used last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(3))
        self.turns: list[Tensor] = [self.first, self.second]

    def forward(self, x: Tensor) -> Tensor:
        self.turns = [self.turns[1], self.turns[0]]
        return x + self.turns[0]


class KeptTwice(nn.Module):
    """Its parameter under a second name, as a recurrent layer keeps its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.flat: list[Tensor] = [self.weight]

    def forward(self, x: Tensor) -> Tensor:
        if self.flat[0] is not self.weight:
            self.flat = [self.weight]
        return x + self.flat[0]


@pytest.mark.parametrize(
    ("module", "path"), [(Window, "cache"), (Hidden, "h"), (Listed, "past"), (Counted, "calls"), (Alternating, "turns")]
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_memory_is_refused(module: Any, path: str, nested: bool) -> None:
    model = nn.Sequential(module(), nn.ReLU()) if nested else module()
    with pytest.raises(ConvertError) as caught:
        convert(model, torch.rand(2, 3) + 1)
    assert path in str(caught.value)


def test_a_module_keeps_its_buffers() -> None:
    model = nn.Sequential(Window(), nn.ReLU())
    # Nothing of the memory shows in this call's results.
    with pytest.raises(ConvertError):
        convert(model, -torch.rand(2, 3))
    assert torch.equal(model[0].cache, torch.zeros(2, 1)) and type(model[0].cache) is Tensor


def test_a_memo_is_accepted() -> None:
    same_as_eager(nn.Sequential(Memo(), nn.ReLU()), torch.randn(2, 3))


def test_a_parameter_kept_twice_is_no_memory() -> None:
    same_as_eager(nn.Sequential(KeptTwice(), nn.ReLU()), torch.randn(2, 3))
