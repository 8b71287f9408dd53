"""The compile half of ``null``: takes every op, makes one trivial job per subgraph, and an empty artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.graph import Graph
from optima.ops.entry import Answer, Yes


class NullBackend:
    """Exercises check, plan, jobs, link and packaging with no device at all."""

    name = "null"

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Yes to everything."""
        return dict.fromkeys(op_names, Yes())

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """Nothing is targeted."""
        return {"runs_on": "nothing"}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job: the digest of the text form."""
        text = subgraph.dump()
        key = hashlib.sha256(f"null\n{text}".encode()).hexdigest()
        names = tuple(op.name for op in subgraph.ops)
        return (Job(key, "optima.backends.null.backend:digest", text, subgraph.name, names),)

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The digest as the only file."""
        (job,) = self.plan(subgraph, device, options, None)
        return SubgraphArtifact(
            files={"digest.txt": results[job.key]},
            meta={"inputs": list(subgraph.inputs), "outputs": list(subgraph.outputs)},
            produced_by={"optima": "null"},
        )


def digest(text: str) -> bytes:
    """The job's function."""
    return hashlib.sha256(text.encode()).hexdigest().encode() + b"\n"


def backend() -> Backend:
    """The thunk that the registry calls."""
    return NullBackend()
