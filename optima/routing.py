"""Sends each subgraph to the backend of its device, and holds the backend to its contract.

A backend may come from outside. Whatever it raises, forgets or makes up becomes one InternalError that names the
backend, the step and the subgraph; refusals of its own (OptimaError) pass through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from devices import DeviceRef, InternalError, OptimaError
from optima.artifact.manifest import json_bytes
from optima.backends import backend_of, default_backend
from optima.backends.base import CompileOptions, Job, SubgraphArtifact
from optima.graph import Graph
from optima.ops.entry import Answer, No, Yes
from optima.packaging import LinkedSubgraph
from optima.partition import Subgraph


class Router:
    """``overrides`` maps a kind's word to a backend's name: ``{"X64": "reference"}``. Raises UnknownBackend."""

    def __init__(self, overrides: Mapping[str, str], options: CompileOptions) -> None:
        self.overrides = overrides
        self.options = options
        for name in overrides.values():
            backend_of(name)

    def backend_name(self, device: DeviceRef) -> str:
        """The backend of a device: the caller's choice for its kind, else the kind's default, else ""."""
        return self.overrides.get(device.kind.value) or default_backend(device)

    def check(self, graph: Graph, names: Sequence[str], device: DeviceRef) -> Mapping[str, Answer]:
        """Which of the ops can run on the device."""
        name = self.backend_name(device)
        if not name:
            return dict.fromkeys(names, No(f"{device.kind.value} has no backend yet"))
        with _held(name, "check", str(device)):
            answers = backend_of(name).check(graph, names, device, self.options)
            unanswered = [n for n in names if not isinstance(answers.get(n), Yes | No)]
            if unanswered:
                raise TypeError(f"no answer for {', '.join(unanswered[:5])}")
        return answers

    def plan(self, part: Subgraph, calibration: Any) -> Sequence[Job]:
        """The subgraph's compile jobs."""
        device = part.devices[0]
        name = self.backend_name(device)
        with _held(name, "plan", part.name):
            jobs = backend_of(name).plan(part.graph, device, self.options, calibration)
            for job in jobs:
                if not isinstance(job, Job) or not re.fullmatch(r"[0-9a-f]{64}", job.key):
                    raise TypeError(f"{job!r:.80} is not a Job with a hex sha256 key")
        return jobs

    def link(self, part: Subgraph, results: Mapping[str, bytes]) -> LinkedSubgraph:
        """The subgraph with its files."""
        device = part.devices[0]
        name = self.backend_name(device)
        with _held(name, "link", part.name):
            backend = backend_of(name)
            artifact = backend.link(part.graph, device, self.options, results)
            if not isinstance(artifact, SubgraphArtifact):
                raise TypeError(f"{artifact!r:.80} is not a SubgraphArtifact")
            json_bytes(artifact.meta)
            return LinkedSubgraph(part, name, backend.resolve(device, self.options), artifact)


@contextmanager
def _held(backend: str, step: str, subject: str) -> Iterator[None]:
    try:
        yield
    except OptimaError:
        raise
    # A backend from outside may raise anything; the user needs to know whose fault it is.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InternalError(
            f"backend {backend!r} failed to {step} {subject}: {reason}",
            hint=f"report it to the maker of backend {backend!r}, with this text; until then map these ops elsewhere",
        ) from error
