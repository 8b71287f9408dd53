"""Sends each subgraph to the backend of its device, and holds the backend to its contract.

A backend may come from outside. Whatever it raises, forgets or makes up becomes one InternalError that names the
backend, the step and the subgraph; refusals of its own (OptimaError) pass through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from devices import DeviceEnum, DeviceRef, InternalError, OptimaError
from optima.artifact.manifest import json_bytes
from optima.backends import backend_of, default_backend
from optima.backends.base import CompileOptions, Job, SubgraphArtifact
from optima.graph import Graph
from optima.ops.entry import Answer, No, Yes
from optima.packaging import LinkedForm
from optima.partition import Subgraph
from optima.tools import ToolMissing

#: the folder of a first choice within its subgraph's
_FIRST = ""


@dataclass(frozen=True, eq=False)
class Form:
    """A subgraph to be compiled for one kind: ``devices`` share the form; ``folder`` lies in the subgraph's own."""

    subgraph: Subgraph
    devices: tuple[DeviceRef, ...]
    folder: str

    @property
    def device(self) -> DeviceRef:
        """The device that its backend is asked about."""
        return self.devices[0]

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"{self.subgraph.name} for {self.device}" if self.folder else self.subgraph.name


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
        kinds = getattr(backend_of(name), "kinds", None)
        if kinds is not None and device.kind not in kinds:
            served = ", ".join(kind.value for kind in DeviceEnum if kind in kinds)
            return dict.fromkeys(
                names, No(f"the {name} backend compiles for {served}, and not for {device.kind.value}")
            )
        with _held(name, "check", str(device)):
            try:
                answers = backend_of(name).check(graph, names, device, self.options)
            except ToolMissing as error:
                raise ToolMissing(f"{device}: {error.message}", problems=error.problems, hint=error.hint) from error
            unanswered = [n for n in names if not isinstance(answers.get(n), Yes | No)]
            if unanswered:
                raise TypeError(f"no answer for {', '.join(unanswered[:5])}")
        return answers

    def forms(self, part: Subgraph) -> tuple[Form, ...]:
        """One form for each kind of the subgraph's list, in the list's order: devices of a kind share theirs."""
        kinds = dict.fromkeys(device.kind for device in part.devices)
        return tuple(
            Form(part, tuple(d for d in part.devices if d.kind is kind), _FIRST if n == 0 else f"alternative_{n}")
            for n, kind in enumerate(kinds)
        )

    def plan(self, form: Form, calibration: Any) -> Sequence[Job]:
        """The form's compile jobs."""
        name = self.backend_name(form.device)
        with _held(name, "plan", form.title):
            jobs = backend_of(name).plan(form.subgraph.graph, form.device, self._options(form), calibration)
            for job in jobs:
                if not isinstance(job, Job) or not re.fullmatch(r"[0-9a-f]{64}", job.key):
                    raise TypeError(f"{job!r:.80} is not a Job with a hex sha256 key")
        return jobs

    def link(self, form: Form, results: Mapping[str, bytes]) -> LinkedForm:
        """The form with its files."""
        name = self.backend_name(form.device)
        options = self._options(form)
        with _held(name, "link", form.title):
            backend = backend_of(name)
            artifact = backend.link(form.subgraph.graph, form.device, options, results)
            if not isinstance(artifact, SubgraphArtifact):
                raise TypeError(f"{artifact!r:.80} is not a SubgraphArtifact")
            json_bytes(artifact.meta)
            return LinkedForm(form.devices, form.folder, name, backend.resolve(form.device, options), artifact)

    def _options(self, form: Form) -> CompileOptions:
        """The caller's options; what a further form dumps goes into a folder of its own."""
        if form.folder == _FIRST or not self.options.dump_dir:
            return self.options
        return replace(self.options, dump_dir=f"{self.options.dump_dir}/{form.folder}")


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
