"""The compile half that all backends of kernels share: passes, fused groups, a job for each distinct kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from devices import DeviceRef
from optima.backends.base import CompileOptions, Job
from optima.backends.kernel_route.lowering import Lowered
from optima.graph import Graph

Target = TypeVar("Target")


class KernelBackend(ABC, Generic[Target]):
    """A backend that lowers a subgraph for a ``Target``, which says all that its kernels depend on."""

    def __init__(self) -> None:
        self._lowered: WeakKeyDictionary[Graph, tuple[Target, Lowered]] = WeakKeyDictionary()

    @abstractmethod
    def target(self, device: DeviceRef, options: CompileOptions) -> Target:
        """What the kernels are for, comparable with ``==``."""

    @abstractmethod
    def lower(self, subgraph: Graph, target: Target, device: DeviceRef, options: CompileOptions) -> Lowered:
        """The subgraph after its passes, with its jobs."""

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job per distinct kernel, in order of first call. Raises what ``target`` does."""
        return tuple({job.key: job for job in self.lowered(subgraph, device, options).jobs}.values())

    def lowered(self, subgraph: Graph, device: DeviceRef, options: CompileOptions) -> Lowered:
        """``lower``, once per subgraph and target: ``plan`` and ``link`` see the same result."""
        target = self.target(device, options)
        known = self._lowered.get(subgraph)
        if known is None or known[0] != target:
            known = target, self.lower(subgraph, target, device, options)
            self._lowered[subgraph] = known
        return known[1]
