"""The run half: the reference, and the hook that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.reference.load import ReferenceExecutable, ReferenceInvocation
from optima.backends.reference.load import load as load_reference

#: called with the device before each run
HOOK: dict[str, Callable[[str], None]] = {}


def present(device: DeviceRef) -> bool:
    """It stands in for every device."""
    return True


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> MeetingExecutable:
    """The reference's executable with the hook in front."""
    return MeetingExecutable(load_reference(view, device, env), str(device))


class MeetingExecutable:
    def __init__(self, inner: ReferenceExecutable, device: str) -> None:
        self.inner, self.device = inner, device

    def bind(self, borders: Mapping[str, Any]) -> MeetingInvocation:
        return MeetingInvocation(self.inner.bind(borders), self.device)


class MeetingInvocation:
    def __init__(self, inner: ReferenceInvocation, device: str) -> None:
        self.inner, self.device = inner, device

    def run(self) -> None:
        HOOK.get("run", lambda device: None)(self.device)
        self.inner.run()

    def trace(self) -> dict[str, Any]:
        return self.inner.trace()

    def timings(self) -> tuple[()]:
        return ()
