"""A backend that misbehaves on purpose: ``FAULT`` says how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.null.backend import NullBackend
from optima.graph import Graph
from optima.ops.entry import Answer

#: set by the tests
FAULT = {"name": ""}


class NaughtyBackend(NullBackend):
    """``null`` with one fault."""

    name = "naughty"

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        if FAULT["name"] == "forgets an op":
            return dict(list(super().check(graph, op_names, device, options).items())[1:])
        if FAULT["name"] == "answers with a bool":
            return dict.fromkeys(op_names, True)  # type: ignore[arg-type]
        return super().check(graph, op_names, device, options)

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        (job,) = super().plan(subgraph, device, options, calibration)
        if FAULT["name"] == "plan raises":
            raise KeyError("no such table")
        if FAULT["name"] == "key is short":
            return [Job("abc", job.function, job.payload, job.label)]
        functions = {
            "job raises": "tests.backends.naughty_jobs:fail",
            "job is killed": "tests.backends.naughty_jobs:die",
            "job returns text": "tests.backends.naughty_jobs:text",
            "job is nowhere": "tests.backends.naughty_jobs:nothing",
        }
        function = functions.get(FAULT["name"], job.function)
        # A key of its own: the cache must never answer for a fault.
        key = job.key[:-4] + f"{sum(map(ord, FAULT['name'])) % 65536:04x}"
        return [Job(key, function, job.payload, job.label, job.ops)]

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        files = {"digest.txt": b"x"}
        meta: dict[str, Any] = {"inputs": [], "outputs": []}
        if FAULT["name"] == "file outside":
            files = {"../../evil.txt": b"x"}
        if FAULT["name"] == "meta is not JSON":
            meta = {"value": object()}
        if FAULT["name"] == "link returns nothing":
            return None  # type: ignore[return-value]
        return SubgraphArtifact(files=files, meta=meta)


def backend() -> Backend:
    return NaughtyBackend()
