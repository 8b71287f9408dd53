"""The compile half of ``reference``: no job, the graph's text form and its parameters are the artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions, Constant, Job, SubgraphArtifact
from optima.graph import Graph
from optima.ops.entry import Answer, No, Yes
from optima.ops.registry import entry_of


class ReferenceBackend:
    """Takes every operator that has an entry."""

    name = "reference"

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Yes for every op with an entry."""
        ops = graph.op_by_name
        return {n: Yes() if entry_of(ops[n].op) else No(f"no operator {ops[n].op!r}") for n in op_names}

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The reference has no target: it runs wherever torch does."""
        return {"runs_on": "torch"}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """Nothing to compile."""
        return ()

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The text form as ``graph.txt``, every parameter as a constant of its own name."""
        constants = tuple(
            Constant(t.name, t.value, t.dtype, t.recipe or ["param", t.source])
            for t in subgraph.params
            if t.value is not None
        )
        return SubgraphArtifact(
            files={"graph.txt": subgraph.dump().encode()},
            meta={
                "inputs": list(subgraph.inputs),
                "outputs": list(subgraph.outputs),
                "constants": [{"name": c.name, "key": c.key} for c in constants],
            },
            constants=constants,
            produced_by={"optima": "reference"},
            executed_on="torch",
        )


def backend() -> Backend:
    """The thunk that the registry calls."""
    return ReferenceBackend()
