"""State kept in Python: refused where a second call would give something else, accepted where it is a memo."""

from __future__ import annotations

import functools
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

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


CALLS: list[int] = []
SUM = torch.zeros(2, 1)


class OfTheFile(nn.Module):
    """Two memories that belong to no module."""

    def forward(self, x: Tensor) -> Tensor:
        global SUM, NEW
        CALLS.append(1)
        SUM = NEW = SUM + x.sum(1, keepdim=True)
        return x * len(CALLS) + SUM


class OfTheClass(nn.Module):
    count = 0

    def forward(self, x: Tensor) -> Tensor:
        type(self).count += 1
        return x + type(self).count


def test_a_memory_outside_the_modules_is_refused_and_put_back() -> None:
    before = SUM
    for module, paths in ((OfTheFile(), ("test_state.CALLS", "test_state.SUM")), (OfTheClass(), ("OfTheClass.count",))):
        with pytest.raises(ConvertError) as caught:
            convert(nn.Sequential(module), torch.rand(2, 3))
        assert all(path in str(caught.value) for path in paths)
    assert (CALLS, OfTheClass.count) == ([], 0) and before is SUM and "NEW" not in globals()


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_numbers_drawn_in_python_are_refused(draw: Any) -> None:
    class Drawn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(draw())

    with pytest.raises(ConvertError, match="draws from it"):
        convert(Drawn(), torch.rand(2, 3))


@pytest.mark.parametrize("normed", [nn.utils.weight_norm, nn.utils.spectral_norm, prune.identity])
def test_weights_that_torch_computes_before_each_call_are_no_memory(normed: Any) -> None:
    layer = nn.Linear(3, 4)
    normed(layer, "weight")
    same_as_eager(nn.Sequential(layer, nn.ReLU()), torch.randn(2, 3))


def test_faults_of_several_kinds_are_one_error() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(3))
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.seen += x[0]
            y = F.dropout(x, 0.5, True)
            return torch.linalg.svdvals(y) + self.calls

    with pytest.raises(ConvertError) as caught:
        convert(Several(), torch.rand(3, 3))
    subjects = [p.subject for p in caught.value.problems]
    assert subjects[0] == "Several.calls" and len(subjects) == 4
    assert subjects[1].startswith("aten.add_") and "dropout" in subjects[2] and "svd" in subjects[3]


class FirstSeen(nn.Module):
    """A memo of the first input, which the second call with the same input does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is None:
            self.mean = x.mean()
        return x - self.mean


class Cache:
    def __init__(self) -> None:
        self.keys: Tensor | None = None


class InAnObject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()

    def forward(self, x: Tensor) -> Tensor:
        self.cache.keys = x if self.cache.keys is None else self.cache.keys + x
        return self.cache.keys


class InADefault(nn.Module):
    def forward(self, x: Tensor, past: list[float] = []) -> Tensor:  # noqa: B006
        past.append(1.0)
        return x * len(past)


class Generated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.numbers = np.random.default_rng(3)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.numbers.random()


class Swapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.first, self.second = self.second, self.first
        return self.first(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("module", [FirstSeen, InAnObject, InADefault, Generated, Swapped])
def test_a_memory_in_an_odd_place_is_refused(module: Any) -> None:
    with pytest.raises(ConvertError, match="does not do the same at each call"):
        convert(module(), torch.rand(2, 3))


@functools.lru_cache(None)
def _table(size: int) -> Tensor:
    return torch.arange(size).float().sin()


class Memorised(nn.Module):
    """Tables that memos keep: torch's stand-ins must not stay in them."""

    def __init__(self) -> None:
        super().__init__()
        self.notes = Cache()

    @functools.cached_property
    def scale(self) -> Tensor:
        return torch.ones(3) * 2

    def forward(self, x: Tensor) -> Tensor:
        if self.notes.keys is None:
            self.notes.keys = torch.arange(3).float()
        self.shown = x * self.scale
        return self.shown + _table(x.shape[-1]) + self.notes.keys


class Registered(nn.Module):
    """A table that becomes a buffer at the first call."""

    def __init__(self, declared: bool) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        if declared:
            self.register_buffer("table", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if getattr(self, "table", None) is None:
            self.register_buffer("table", torch.arange(x.shape[-1]).float(), persistent=False)
        return self.inner(x) + self.table  # type: ignore[no-any-return]


@pytest.mark.parametrize("declared", [True, False])
def test_a_buffer_made_at_the_first_call_is_a_memo(declared: bool) -> None:
    module, x = Registered(declared), torch.rand(2, 3)
    for _ in range(2):
        same_as_eager(module, x)


def test_a_model_that_cannot_be_copied_is_refused_with_that_reason() -> None:
    class Locked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lock, self.size = threading.Lock(), 0

        def forward(self, x: Tensor) -> Tensor:
            self.size = x.shape[0]
            return x + 1

    with pytest.raises(ConvertError, match="cannot be tried on a copy of the model: cannot pickle"):
        convert(Locked(), torch.rand(2, 3))


def test_memos_are_as_before() -> None:
    module, x = Memorised(), torch.rand(2, 3)
    for _ in range(2):
        convert(module, x)
        assert not hasattr(module, "shown") and module.notes.keys is None and _table.cache_info().currsize == 0
    same_as_eager(module, x)
    same_as_eager(module, x)
    assert type(module(x)) is Tensor


def test_a_module_keeps_its_buffers() -> None:
    model = nn.Sequential(Window(), nn.ReLU())
    # Nothing of the memory shows in this call's results.
    with pytest.raises(ConvertError):
        convert(model, -torch.rand(2, 3))
    assert torch.equal(model[0].cache, torch.zeros(2, 1)) and type(model[0].cache) is Tensor


def test_a_memo_is_accepted() -> None:
    same_as_eager(nn.Sequential(Memo(), nn.ReLU()), torch.randn(2, 3))


class Shown(nn.Module):
    """Keeps what it computed for others to look at, and never reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: Tensor | None = None
        self.all: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.weights = x.softmax(-1)
        self.all = [self.weights]
        return self.weights * 2


def test_what_is_kept_for_others_is_no_memory() -> None:
    module, x = Shown(), torch.rand(2, 3)
    for _ in range(2):
        same_as_eager(module, x)
        assert type(module.weights) is Tensor


def test_a_parameter_kept_twice_is_no_memory() -> None:
    same_as_eager(nn.Sequential(KeptTwice(), nn.ReLU()), torch.randn(2, 3))
