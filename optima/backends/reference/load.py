"""The run half of ``reference``: the subgraph's text form, run op by op with torch."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from devices import DeviceRef, UserError
from optima.backends.base import LoadEnv, SubgraphView
from optima.graph import Graph, Op
from optima.tools import NotUsableHere

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]


class TorchMissing(NotUsableHere):
    """A model compiled for the ``reference`` backend on a machine without PyTorch.

    Example: ``load_model`` of such a model where torch is not installed.
    Fix: ``pip install '.[compile]'`` in Optima's clone, or compile the model with the device's own backend.
    """


def present(device: DeviceRef) -> bool:
    """The reference stands in for every device: it runs wherever torch does."""
    return True


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> ReferenceExecutable:
    """Parse the graph. Raises TorchMissing where torch is not installed, GraphError for a wrong text."""
    if not _torch_is_installed():
        raise TorchMissing(
            f"{view.name} was compiled by the reference backend, and torch is not installed here",
            hint="in Optima's clone: pip install '.[compile]', or compile the model with the device's own backend",
        )
    if "graph.txt" not in view.files:
        raise UserError(f"{view.name} has no graph.txt", hint="compile the model again")
    return ReferenceExecutable(Graph.parse(view.files["graph.txt"].decode(), view.constants))


def _torch_is_installed() -> bool:
    if "torch" in sys.modules:
        return sys.modules["torch"] is not None
    return importlib.util.find_spec("torch") is not None


class ReferenceExecutable:
    """A parsed subgraph with its parameters."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def bind(self, borders: Mapping[str, Array]) -> ReferenceInvocation:
        """Remember the buffers; torch allocates everything else itself."""
        return ReferenceInvocation(self.graph, borders)


class ReferenceInvocation:
    """One request's buffers over a graph."""

    def __init__(self, graph: Graph, borders: Mapping[str, Array]) -> None:
        self._graph = graph
        self._borders = borders

    def run(self) -> None:
        """Run the graph and copy its outputs into their buffers."""
        self._run(None)

    def trace(self) -> dict[str, Array]:
        """Run the graph; copies of the result of every op, and of the inputs."""
        seen = {name: self._borders[name].copy() for name in self._graph.inputs}
        self._run(seen)
        return seen

    def timings(self) -> Sequence[tuple[str, float]]:
        """The reference has no kernels."""
        return ()

    def _run(self, seen: dict[str, Array] | None) -> None:
        from optima.ops.reference import run_graph, to_numpy

        def watch(op: Op, results: tuple[torch.Tensor, ...]) -> None:
            if seen is not None:
                # to_numpy may share the tensor's memory with a view that another op makes of it.
                seen.update({n: to_numpy(r).copy() for n, r in zip(op.outputs, results, strict=True)})

        inputs = {name: self._borders[name] for name in self._graph.inputs}
        outputs = run_graph(self._graph, inputs, watch=watch if seen is not None else None)
        for name, value in outputs.items():
            np.copyto(self._borders[name], value, casting="equiv")
