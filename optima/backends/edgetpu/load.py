"""The run half of the Edge TPU: the compiled model by libedgetpu, or the int8 model on the CPU as a simulation.

The way over libedgetpu follows Coral's documentation; no device was at hand to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import DeviceEnum, DeviceRef, UserError
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.edgetpu.hardware import LIBRARY, edge_tpus, has_runtime
from optima.backends.edgetpu.runner import Runner, litert

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
    """Raises LitertMissing, UserError for a folder without its files, and NotCompiledForTpu where the device is here,
    its file is not, and no fallback is allowed."""
    litert()
    compiled, int8 = f"{view.name}_edgetpu.tflite", f"{view.name}.tflite"
    if env.present and compiled in view.files:
        return EdgeTpuExecutable(view, view.files[compiled], env.threads, (LIBRARY, {"device": f":{device.index}"}))
    if env.present and not env.fallback:
        raise NotCompiledForTpu(
            f"{view.name} was not compiled for the Edge TPU: {compiled} is missing",
            hint=f"in its folder run: {view.meta.get('next_command', '')}; or compile the model again where "
            "edgetpu_compiler is installed, or pass fallback=True to run it on the CPU",
        )
    if int8 not in view.files:
        raise UserError(f"{view.name} has no {int8}", hint="compile the model again")
    say = env.log.warning if env.present else env.log.info  # an absent device was warned of already
    say("%s: LiteRT on the CPU simulates %s with the int8 model", view.name, device)
    return EdgeTpuExecutable(view, view.files[int8], env.threads, None)


class EdgeTpuExecutable:
    """A model's bytes; each request has an interpreter of its own, which runs one inference at a time."""

    def __init__(
        self, view: SubgraphView, model: bytes, threads: int, delegate: tuple[str, Mapping[str, str]] | None
    ) -> None:
        self._view, self._model, self._threads, self._delegate = view, model, threads, delegate
        self.runs_on = "" if delegate else "LiteRT on the CPU, the int8 model"

    def bind(self, borders: Mapping[str, Array]) -> EdgeTpuInvocation:
        """An interpreter over these buffers."""
        runner = Runner(self._model, self._threads, self._delegate)
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
