"""Representative data at a subgraph's border: the model is run on the user's samples up to there.

For devices that quantise. The seed calls this step "extract representative dataset".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import Problem, UserError
from optima.graph import Graph, Op
from optima.ops.reference import CudaNeeded, run_graph, to_numpy
from torch2nx.pytree import flatten_inputs

Array = np.ndarray[Any, Any]


class CalibrationError(UserError):
    """Representative data that cannot be used: NaN or infinite values, or none where a device quantises.

    Example: a map with ``"HEXAGON:0"`` and no ``sample_inputs``.
    Fix: ``optimize(..., sample_inputs=[(x,) for x in images])``: tuples of what ``module(*sample)`` takes.
    """


class Calibration:
    """The samples of a model, run with torch when a border is first asked for, and kept."""

    def __init__(self, graph: Graph, samples: Sequence[Any] | None, device: str = "cpu") -> None:
        """``samples`` were checked: each is a tuple of the module's arguments, or a dict of its keywords.

        ``device`` is torch's name of where the model is run on them."""
        self._graph = graph
        self._device = device
        self._samples = tuple(samples or ())
        self._known: dict[str, list[Array]] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def at(self, names: Sequence[str], subgraph: str) -> list[dict[str, Array]]:
        """One dict of arrays by tensor name per sample. Raises CalibrationError without samples, or naming
        every tensor that is not finite; CudaNeeded where torch cannot run the model up to there on the CPU."""
        if not self._samples:
            raise CalibrationError(
                f"{subgraph} is quantised, and there is no representative data",
                hint="pass sample_inputs=[(x,), ...]: tuples of what the module takes, a few dozen typical ones",
            )
        if any(name not in self._known for name in names):
            try:
                self._run([name for name in names if name not in self._known])
            except CudaNeeded as error:
                message = f"{subgraph} is quantised, and the samples cannot be run up to it: {error.message}"
                raise CudaNeeded(message, problems=error.problems, hint=error.hint) from None
        self._refuse_infinite(names, subgraph)
        return [{name: self._known[name][k] for name in names} for k in range(len(self._samples))]

    def _run(self, names: Sequence[str]) -> None:
        wanted = dict.fromkeys(names)
        for sample in self._samples:
            keywords = isinstance(sample, Mapping)
            leaves = flatten_inputs(self._graph.in_tree, () if keywords else sample, *([sample] if keywords else []))
            inputs = {n: to_numpy(leaf) for n, leaf in zip(self._graph.inputs, leaves, strict=True)}
            found = {name: inputs[name] for name in wanted if name in inputs}

            def keep(op: Op, results: Sequence[Any], found: dict[str, Array] = found) -> None:
                found.update({n: to_numpy(r).copy() for n, r in zip(op.outputs, results, strict=True) if n in wanted})

            run_graph(self._graph, inputs, watch=keep, device=self._device)
            for name in wanted:
                self._known.setdefault(name, []).append(found[name])

    def _refuse_infinite(self, names: Sequence[str], subgraph: str) -> None:
        problems = [
            Problem(f"sample_inputs[{k}]", f"gives values that are not finite at {name}, an input of {subgraph}")
            for name in names
            for k, array in enumerate(self._known[name])
            if array.dtype.kind == "f" and not np.isfinite(array).all()
        ]
        if problems:
            raise CalibrationError(
                "representative data must be finite", problems=problems, hint="leave these samples out"
            )
