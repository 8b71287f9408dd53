"""``Model``: a loaded model folder, from which requests are made, and the short way to run it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices import DeviceRef
from optima.artifact.manifest import ModelMeta
from optima.runtime.dispatch import gate
from optima.runtime.enums import FrameworkKind
from optima.runtime.errors import InputError
from optima.runtime.inputs import conform, conform_logical
from optima.runtime.request import InferRequest
from optima.runtime.session import Loaded, Session
from optima.runtime.tensors import Array, TensorInfo, find
from torch2nx.errors import ArgumentsError
from torch2nx.pytree import flatten_inputs, unflatten_outputs


@dataclass(frozen=True)
class SubgraphInfo:
    """Where a subgraph runs. ``device`` is the chosen one of its preference list, ``backend`` made the form that runs.

    ``simulated``: the device is absent, and its backend's simulator stands in, or the CPU by a form of its own;
    ``runs_on`` says what computes, in words ("" where the backend does not say)."""

    name: str
    device: DeviceRef
    backend: str
    ops: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    simulated: bool
    runs_on: str = ""


class Model:
    """Made by ``Context.load_model``. Any number of threads and requests may use it at the same time.

    Arrays have the border's layout (``input_tensors_info``): where the model was traced with ``tf_flip``,
    images are NHWC. The methods whose documentation says "logical" take PyTorch's own order instead.
    """

    framework = FrameworkKind.PYTORCH

    def __init__(self, loaded: Loaded, digest: str, log: logging.Logger) -> None:
        """Used by ``Context``."""
        self._loaded = loaded
        self._log = log
        self._idle: list[Session] = []
        self.digest = digest
        self.input_tensors_info = tuple(TensorInfo.of(t) for t in loaded.meta.inputs)
        self.output_tensors_info = tuple(TensorInfo.of(t, loaded.meta.symbols) for t in loaded.meta.outputs)

    # ---- what it is

    @property
    def meta(self) -> ModelMeta:
        """The manifest, ``model.meta``."""
        return self._loaded.meta

    @property
    def name(self) -> str:
        """The model's name."""
        return self.meta.name

    @property
    def input_tensor_count(self) -> int:
        """How many tensors it takes."""
        return len(self.input_tensors_info)

    @property
    def output_tensor_count(self) -> int:
        """How many tensors it gives."""
        return len(self.output_tensors_info)

    def get_input_tensor_info(self, key: int | str) -> TensorInfo:
        """An input by index or name. Raises UnknownTensor."""
        return self.input_tensors_info[find(self.input_tensors_info, key, "input")]

    def get_output_tensor_info(self, key: int | str) -> TensorInfo:
        """An output by index or name. Raises UnknownTensor."""
        return self.output_tensors_info[find(self.output_tensors_info, key, "output")]

    @property
    def subgraph_info(self) -> tuple[SubgraphInfo, ...]:
        """The subgraphs in execution order, with the device that each runs on."""
        return tuple(
            SubgraphInfo(
                s.meta.name,
                s.device,
                s.form.backend,
                s.meta.ops,
                s.meta.inputs,
                s.meta.outputs,
                s.simulated,
                s.runs_on,
            )
            for s in self._loaded.subgraphs
        )

    def __repr__(self) -> str:
        takes = ", ".join(map(str, self.input_tensors_info))
        gives = ", ".join(map(str, self.output_tensors_info))
        return f"<Model {self.name} ({takes}) -> ({gives}), {len(self._loaded.subgraphs)} subgraphs>"

    # ---- running it

    def create_request(self) -> InferRequest:
        """A request with buffers of its own, at most ``meta.request_bytes``. Raises UserError if they do not
        fit into memory."""
        return InferRequest(Session(self._loaded), self.input_tensors_info, self.output_tensors_info, self._log)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as the module was called; the result has the module's structure, with numpy arrays.

        Raises InputError for arguments that do not fit, and what the inference raises.
        """
        leaves = self._leaves(args, kwargs)
        outputs = self._compute(conform(self.input_tensors_info, leaves), logical=False)
        return unflatten_outputs(self.meta.out_tree, outputs)

    def run(self, inputs: Any) -> dict[str, Array]:
        """Run on an array, a list, or a dict by input name; gives a dict of arrays by output label.

        The label is the output's place in the module's result, or its tensor name where the result is one
        tensor. Raises like calling the model.
        """
        outputs = self._compute(conform(self.input_tensors_info, inputs), logical=False)
        return dict(zip((t.title for t in self.output_tensors_info), outputs, strict=True))

    def flatten_inputs(self, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> dict[str, Array]:
        """Logical: the module's own arguments as arrays by tensor name. Raises InputError."""
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping | None):
            raise InputError("the arguments are no tuple with a dict", hint="pass (x, y) as model(x, y) takes them")
        arrays = conform_logical(self.input_tensors_info, self._leaves(args, kwargs or {}))
        return {t.name: a for t, a in zip(self.input_tensors_info, arrays, strict=True)}

    def run_flat(self, inputs: Mapping[str, Any]) -> list[Array]:
        """Logical: from arrays by tensor name (see ``flatten_inputs``) to one array per output, in order."""
        return self._compute(self._by_name(inputs), logical=True)

    def trace(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Logical: run step by step on arrays by tensor name; every tensor that exists between steps.

        Tensors inside a fused kernel never exist. Meant for ``optima.verify``; slow.
        """
        arrays = self._by_name(inputs)
        with gate():
            session = Session(self._loaded)
            for index, array in enumerate(arrays):
                session.write_input(index, array, logical=True)
            return session.trace()

    def _by_name(self, inputs: Mapping[str, Any]) -> list[Array]:
        if not isinstance(inputs, Mapping):
            raise InputError(f"a {type(inputs).__name__} is no dict of arrays", hint="use what flatten_inputs() gives")
        missing = [t.name for t in self.input_tensors_info if t.name not in inputs]
        if missing:
            raise InputError(f"no array for {', '.join(missing)}", hint="use what flatten_inputs() gives")
        return conform_logical(self.input_tensors_info, [inputs[t.name] for t in self.input_tensors_info])

    def _leaves(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        try:
            return flatten_inputs(self.meta.in_tree, args, kwargs)
        except ArgumentsError as error:
            raise InputError(error.message, problems=error.problems, hint=error.hint) from None

    def _compute(self, arrays: Sequence[Array], *, logical: bool) -> list[Array]:
        # The gate is passed first: there are never more sessions in use than cores.
        with gate():
            session = self._take()
            try:
                for index, array in enumerate(arrays):
                    session.write_input(index, array, logical=logical)
                session.run()
                return [session.read_output(i, logical=logical) for i in range(self.output_tensor_count)]
            finally:
                self._idle.append(session)

    def _take(self) -> Session:
        # list.pop and append are atomic: two threads never get one session.
        try:
            return self._idle.pop()
        except IndexError:
            return Session(self._loaded)
