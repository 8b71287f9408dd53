"""The run half: devices are here when ``STATE`` says so, and fail as it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.reference.load import ReferenceExecutable, ReferenceInvocation
from optima.backends.reference.load import load as load_reference
from optima.tools import ToolMissing


@dataclass
class State:
    """``here``: the devices that are plugged in; ``broken``: those of them whose driver refuses; ``simulator``: whether
    absent ones have one; ``vanished``: what running raises."""

    here: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    simulator: bool = False
    vanished: Exception | None = None
    refuses: set[tuple[str, str]] = field(default_factory=set)


STATE = State()


def present(device: DeviceRef) -> bool:
    return str(device) in STATE.here


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> ReferenceExecutable:
    if env.present and str(device) in STATE.broken:
        raise ToolMissing(f"the driver of {device} is too old", hint="update the driver")
    if not env.present and not STATE.simulator:
        raise ToolMissing(f"there is no simulator of {device}", hint="install one")
    return _Plugged(load_reference(view, device, env).graph, env.present)


class _Plugged(ReferenceExecutable):
    def __init__(self, graph: Any, present: bool) -> None:
        super().__init__(graph)
        self.runs_on = "" if present else "a simulator of the test's"

    def bind(self, borders: Mapping[str, np.ndarray[Any, Any]]) -> ReferenceInvocation:
        return _Invocation(self.graph, borders)


class _Invocation(ReferenceInvocation):
    def run(self) -> None:
        if STATE.vanished is not None:
            raise STATE.vanished
        super().run()
