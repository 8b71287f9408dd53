"""A backend's run half for tests: ``z = 2 x`` once its gate is open, or the error it was told to raise."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NAME = "gated"

Array = np.ndarray[Any, Any]


class Gated:
    """One per loaded model: tests reach it through the loaded subgraph."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.raises: BaseException | None = None

    def bind(self, borders: Mapping[str, Array]) -> GatedInvocation:
        return GatedInvocation(self, borders)


class GatedInvocation:
    def __init__(self, owner: Gated, borders: Mapping[str, Array]) -> None:
        self._owner = owner
        self._borders = borders

    def run(self) -> None:
        assert self._owner.open.wait(60)
        if self._owner.raises is not None:
            raise self._owner.raises
        np.multiply(self._borders["x"], 2, out=self._borders["z"])

    def trace(self) -> dict[str, Array]:
        self.run()
        return {"z": self._borders["z"].copy()}

    def timings(self) -> Sequence[tuple[str, float]]:
        return ()


def present(device: object) -> bool:
    return True


def load(view: object, device: object, env: object) -> Gated:
    return Gated()
