"""The run half of the Edge TPU: the compiled model by libedgetpu, or the int8 model on the CPU as a simulation.

The way over libedgetpu follows Coral's documentation; no device was at hand to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import DeviceEnum, DeviceRef, InternalError, UserError
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.edgetpu.hardware import LIBRARY, edge_tpus, has_runtime
from optima.backends.edgetpu.meta import TpuMeta
from optima.backends.edgetpu.runner import Delegate, Runner, litert, ports_of
from optima.backends.meta_reading import read_meta
from optima.backends.model_ports import BadBundle, file_of, refuse_other_borders, refuse_other_ports

Array = np.ndarray[Any, Any]


class NotCompiledForTpu(UserError):
    """A model that was made without ``edgetpu_compiler`` on a machine with an Edge TPU.

    Example: ``load_model(path)`` of a model whose subgraph says ``needs_edgetpu_compiler``.
    Fix: compile it again where ``edgetpu_compiler`` is installed, or ``load_model(path, fallback=True)``.
    """


def present(device: DeviceRef) -> bool:
    """Whether that device and libedgetpu are here."""
    return device.kind is DeviceEnum.DEVICE_KIND_TPU and device.index < edge_tpus() and has_runtime()


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> EdgeTpuExecutable:
    """Raises LitertMissing, BadBundle for files that do not fit together, and NotCompiledForTpu where the device is
    here, its file is not, and no fallback is allowed."""
    meta = read_meta(TpuMeta, view, BadBundle)
    refuse_other_borders(view, meta)
    litert()
    if env.present and meta.compiled_for_device:
        delegate: Delegate = (LIBRARY, {"device": f":{device.index}"})
        return EdgeTpuExecutable(view, _model_of(view, meta.artifact), env.threads, delegate)
    if env.present and not env.fallback:
        raise NotCompiledForTpu(
            f"{view.name} was not compiled for the Edge TPU: it has {meta.int8_model} only",
            hint=f"in its folder run: {meta.next_command}; or compile the model again where "
            "edgetpu_compiler is installed, or pass fallback=True to run it on the CPU",
        )
    model = _model_of(view, meta.int8_model)
    say = env.log.warning if env.present else env.log.info  # an absent device was warned of already
    say("%s: LiteRT on the CPU simulates %s with the int8 model", view.name, device)
    return EdgeTpuExecutable(view, model, env.threads, None)


def _model_of(view: SubgraphView, name: str) -> bytes:
    """A model file, with the subgraph's inputs and outputs. Raises BadBundle."""
    model = file_of(view, name)
    try:
        inputs, outputs = ports_of(model)
    except InternalError as error:
        raise BadBundle(f"{view.name}: {name}: {error.message}", hint="compile the model again") from error
    refuse_other_ports(view, inputs, outputs, name, widened=True)
    return model


class EdgeTpuExecutable:
    """A model's bytes; each request has an interpreter of its own, which runs one inference at a time."""

    def __init__(self, view: SubgraphView, model: bytes, threads: int, delegate: Delegate | None) -> None:
        self._view, self._model, self._threads, self._delegate = view, model, threads, delegate
        self.runs_on = "" if delegate else "LiteRT on the CPU, the int8 model"

    def bind(self, borders: Mapping[str, Array]) -> EdgeTpuInvocation:
        """An interpreter over these buffers. Raises BadBundle for a model that LiteRT reads and cannot run."""
        try:
            runner = Runner(self._model, self._threads, self._delegate)
        except InternalError as error:
            raise BadBundle(f"{self._view.name}: {error.message}", hint="compile the model again") from error
        return EdgeTpuInvocation(runner, self._view.inputs, self._view.outputs, borders)


class EdgeTpuInvocation:
    """One request's interpreter and buffers."""

    def __init__(
        self, runner: Runner, inputs: Sequence[str], outputs: Sequence[str], borders: Mapping[str, Array]
    ) -> None:
        self._runner, self._inputs, self._outputs, self._borders = runner, inputs, outputs, borders

    def run(self) -> None:
        """Copy in, run, copy out. The model speaks float32; a border may be of float16."""
        results = self._runner.run([self._borders[name].astype(np.float32, copy=False) for name in self._inputs])
        with np.errstate(over="ignore"):  # beyond a half's range is infinity, as in PyTorch
            for name, result in zip(self._outputs, results, strict=True):
                np.copyto(self._borders[name], result, casting="same_kind")

    def trace(self) -> dict[str, Array]:
        """Inputs and outputs: what lies between is int8 in an order of its own."""
        self.run()
        return {name: self._borders[name].copy() for name in (*self._inputs, *self._outputs)}

    def timings(self) -> Sequence[tuple[str, float]]:
        """One program, no kernels."""
        return ()
