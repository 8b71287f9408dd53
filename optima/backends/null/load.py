"""The run half of ``null``: loads anything and refuses to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import DeviceRef, UserError
from optima.backends.base import LoadEnv, SubgraphView

Array = np.ndarray[Any, Any]


class NothingRuns(UserError):
    """A model that was compiled by the ``null`` backend was asked to compute.

    Example: ``optimize(..., backends={"X64": "null"})``, then ``model(x)``.
    Fix: compile without ``backends=``.
    """


def present(device: DeviceRef) -> bool:
    """``null`` needs no device."""
    return True


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> NullExecutable:
    """Always succeeds."""
    return NullExecutable(view.name)


class NullExecutable:
    """A subgraph that was never really compiled."""

    def __init__(self, name: str) -> None:
        self.name = name

    def bind(self, borders: Mapping[str, Array]) -> NullExecutable:
        """There is no private state."""
        return self

    def run(self) -> None:
        """Raises NothingRuns."""
        raise NothingRuns(
            f"{self.name} was compiled by the null backend, which runs nothing",
            hint="compile the model again with the device's own backend: leave out backends=",
        )

    def trace(self) -> dict[str, Array]:
        """Raises NothingRuns."""
        self.run()
        return {}

    def timings(self) -> Sequence[tuple[str, float]]:
        """No kernel ran."""
        return ()
