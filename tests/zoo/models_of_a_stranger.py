"""A list of models as another project would have it, for the sweep: one good, and one for each way to fail."""

from __future__ import annotations

import ctypes
import itertools
import time

import torch
from torch import Tensor, nn


class Sum(nn.Module):
    def forward(self, x: Tensor, *, y: Tensor) -> Tensor:
        return torch.relu(x + y)


class DependsOnData(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0]


class FailsWhileTraced(nn.Module):
    """Eager takes it; a tracer's tensors have no memory to point at."""

    def forward(self, x: Tensor) -> Tensor:
        return x + ctypes.c_float.from_address(x.data_ptr()).value


#: a memory that cannot be looked into
_CALLS = itertools.count(1)


class Random(nn.Module):
    """Each call gives something else, so that no compiled model can be equal."""

    def forward(self, x: Tensor) -> Tensor:
        return x * next(_CALLS)


def _dies() -> None:
    ctypes.string_at(0)


def _hangs() -> None:
    time.sleep(600)


def _misses_its_library() -> None:
    import a_library_that_nobody_has  # noqa: F401


ONE = torch.linspace(-1, 1, 6).reshape(2, 3)

Z = {
    "good": ("sums", lambda: (Sum(), (ONE,), {"y": ONE + 1})),
    "refused": ("sums", lambda: (DependsOnData(), (ONE,), {})),
    "untraceable": ("faults", lambda: (FailsWhileTraced(), (ONE,), {})),
    "wrong": ("faults", lambda: (Random(), (ONE,), {})),
    "dies": ("faults", _dies),
    "hangs": ("faults", _hangs),
    "absent": ("faults", _misses_its_library),
}
#: a list of another name, of bare functions
SMALLER = {"good": Z["good"][1]}
