"""A quantised subgraph without its device: the QDQ model of the artifact, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.model_ports import (
    BadBundle,
    Port,
    QuantisedMeta,
    file_of,
    refuse_other_borders,
    refuse_other_ports,
)
from optima.graph import TensorType
from optima.tools import ToolMissing

Array = np.ndarray[Any, Any]


#: ONNX Runtime's words for dtypes, where they are not ours
_DTYPES = {"float": "float32", "double": "float64"}


class QdqMeta(QuantisedMeta):
    """``model``: the file with the QDQ model. ``device``: what it was made for."""

    model: str
    device: str


class Simulation(Protocol):
    """Something that runs a model in place of a device. ``runs_on`` is what ``subgraph_info`` and the log say."""

    runs_on: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, in the model's order. Any number of threads may call it."""


def read_model(view: SubgraphView, meta: QdqMeta) -> bytes:
    """The QDQ model that the meta names. Raises BadBundle where its borders are not the subgraph's."""
    refuse_other_borders(view, meta)
    return file_of(view, meta.model)


def ports_of(described: Iterable[tuple[str, Sequence[Any], str]]) -> tuple[Port, ...]:
    """From ONNX Runtime's (name, shape, type) of inputs or outputs. An extent without a number becomes -1."""
    return tuple(
        Port(name, TensorType(tuple(e if isinstance(e, int) else -1 for e in shape), _dtype_of(kind)))
        for name, shape, kind in described
    )


def _dtype_of(kind: str) -> str:
    word = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(word, word)


def runtime_simulation(view: SubgraphView, model: bytes, env: LoadEnv) -> RuntimeSimulation:
    """The model in ONNX Runtime. Raises ToolMissing without it, BadBundle for a model that it does not take."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ToolMissing(
            f"{view.name} is for {view.meta.get('device')}, which is not here; onnxruntime would simulate it",
            hint="in Optima's clone: pip install '.[quantise]'",
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = env.threads
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # onnxruntime's own classes are not exported, and are the only ones that a constructor of it raises.
    except Exception as error:
        raise BadBundle(f"{view.name}: ONNX Runtime refuses its model: {error}", hint="compile it again") from error
    return RuntimeSimulation(session, view, onnxruntime.__version__)


class RuntimeSimulation:
    """A session, shared by all requests."""

    def __init__(self, session: Any, view: SubgraphView, version: str) -> None:
        self._session, self._inputs, self._outputs = session, list(view.inputs), list(view.outputs)
        self.inputs = ports_of((p.name, p.shape, p.type) for p in session.get_inputs())
        self.outputs = ports_of((p.name, p.shape, p.type) for p in session.get_outputs())
        self.runs_on = f"onnxruntime {version} on the CPU, the quantised model"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``Simulation``."""
        found: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return found


class SimulatedSubgraph:
    """The executable of a subgraph whose device is absent. Raises BadBundle for a simulation of another model."""

    def __init__(self, view: SubgraphView, simulation: Simulation) -> None:
        refuse_other_ports(view, simulation.inputs, simulation.outputs, "its model", widened=True)
        self.inputs, self.outputs = tuple(view.inputs), tuple(view.outputs)
        self.simulation = simulation
        self.runs_on = simulation.runs_on

    def bind(self, borders: Mapping[str, Array]) -> SimulatedInvocation:
        """Remember the buffers."""
        return SimulatedInvocation(self, borders)


class SimulatedInvocation:
    """One request's buffers."""

    def __init__(self, part: SimulatedSubgraph, borders: Mapping[str, Array]) -> None:
        self._part, self._borders = part, borders

    def run(self) -> None:
        """Run the model and copy its outputs into their buffers. It speaks float32; a border may be of float16."""
        given = [self._borders[name].astype(np.float32, copy=False) for name in self._part.inputs]
        results = self._part.simulation.run(given)
        with np.errstate(over="ignore"):  # beyond a half's range is infinity, as in PyTorch
            for name, value in zip(self._part.outputs, results, strict=True):
                np.copyto(self._borders[name], value, casting="same_kind")

    def trace(self) -> dict[str, Array]:
        """Run it; copies of its inputs and outputs: what is between them is the device's own."""
        self.run()
        return {n: self._borders[n].copy() for n in (*self._part.inputs, *self._part.outputs)}

    def timings(self) -> Sequence[tuple[str, float]]:
        """A simulator's time says nothing about the device's."""
        return ()
