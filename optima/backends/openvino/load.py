"""The run half: blobs imported by OpenVINO, and compiled again from their ONNX form where they do not fit."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from devices import DeviceEnum, DeviceRef, Family
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.meta_reading import read_meta
from optima.backends.model_ports import BadBundle, Port, file_of, refuse_other_ports
from optima.backends.openvino.core import core_of_process
from optima.backends.openvino.meta import CPU_BLOB, DEVICE_BLOB, OpenvinoSubgraph
from optima.backends.openvino.tools import INSTALL
from optima.graph import TensorType
from optima.tools import NotUsableHere, ToolMissing

Array = np.ndarray[Any, Any]
_AGAIN = "compile the model again, or copy its folder again, whole"
#: OpenVINO's words for dtypes
_DTYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "u8": "uint8", "boolean": "bool",
}  # fmt: skip
_HOST_KINDS = (DeviceEnum.DEVICE_KIND_X64,)


class BlobRefused(NotUsableHere):
    """A subgraph that OpenVINO can neither import nor compile here.

    Example: a blob and an ONNX form of an operator set that this OpenVINO does not read.
    Fix: the version of openvino that ``model.meta`` names, or compile the model again.
    """


def present(device: DeviceRef) -> bool:
    """Whether OpenVINO has the device: the CPU is there for X64, a GPU for INTELGPU. MYRIAD left it in 2023."""
    if device.kind.family is Family.CPU:
        return device.kind in _HOST_KINDS
    if device.kind is not DeviceEnum.DEVICE_KIND_INTELGPU or importlib.util.find_spec("openvino") is None:
        return False
    gpus = [name for name in core_of_process().available_devices if name.split(".")[0] == "GPU"]
    return device.index < len(gpus)


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> OpenvinoExecutable:
    """Import the blob; on a version, an instruction set or a device other than its own, compile the ONNX form.

    Raises ToolMissing where OpenVINO is not installed, BadBundle for files that do not fit together, BlobRefused.
    """
    meta = read_meta(OpenvinoSubgraph, view, BadBundle)
    for name in (meta.blob, meta.onnx):
        file_of(view, name)
    if importlib.util.find_spec("openvino") is None:
        raise ToolMissing(f"{view.name} runs on OpenVINO, which is not installed", hint=INSTALL)
    plugin = meta.plugin if env.present and meta.format == DEVICE_BLOB else "CPU"
    compiled = _compiled(meta, view, plugin, env)
    _refuse_other(meta, view, compiled)
    return OpenvinoExecutable(meta, compiled, plugin)


def _refuse_other(meta: OpenvinoSubgraph, view: SubgraphView, compiled: Any) -> None:
    """Raise BadBundle unless the meta's borders and the compiled model's ports are those of the subgraph."""
    unknown = TensorType((), "")
    inputs, outputs = ([Port(n, view.types.get(n, unknown)) for n in ns] for ns in (meta.inputs, meta.outputs))
    refuse_other_ports(view, inputs, outputs, f"{view.name}.meta")
    inputs, outputs = _described(view.inputs, compiled.inputs), _described(view.outputs, compiled.outputs)
    if len(inputs) < len(view.inputs):  # OpenVINO drops inputs that nothing reads
        read = [port.name for port in inputs]
        view = replace(view, inputs=[name for name in view.inputs if name in read])
    refuse_other_ports(view, inputs, outputs, meta.blob)


def _described(names: Sequence[str], ports: Sequence[Any]) -> list[Port]:
    by_port = {id(port): name for name, port in _ports(names, ports).items()}
    return [Port(by_port.get(id(port), "another"), _type_of(port)) for port in ports]


def _type_of(port: Any) -> TensorType:
    shape = port.get_partial_shape()
    extents = tuple(int(e.get_length()) if e.is_static else -1 for e in shape) if shape.rank.is_static else (-1,)
    return TensorType(extents, _DTYPES.get(port.get_element_type().get_type_name(), "unknown"))


def _compiled(meta: OpenvinoSubgraph, view: SubgraphView, plugin: str, env: LoadEnv) -> Any:
    core = core_of_process()
    config: dict[str, Any] = dict(meta.config)
    if plugin == "CPU":
        config = {k: v for k, v in config.items() if not k.startswith("NPU_")}
        config |= {"INFERENCE_NUM_THREADS": env.threads}
    if meta.format == (CPU_BLOB if plugin == "CPU" else DEVICE_BLOB):
        try:
            return core.import_model(view.files[meta.blob], plugin, config)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            env.log.warning("%s: its blob is not for this machine (%s); its ONNX form is compiled", meta.name, reason)
    try:
        return core.compile_model(core.read_model(view.files[meta.onnx]), plugin, config)
    except RuntimeError as error:
        raise BlobRefused(f"OpenVINO can neither import nor compile {meta.name}: {error}", hint=_AGAIN) from error


class OpenvinoExecutable:
    """A compiled subgraph, shared by all requests."""

    def __init__(self, meta: OpenvinoSubgraph, compiled: Any, plugin: str) -> None:
        self.meta = meta
        self.compiled = compiled
        self.runs_on = f"OpenVINO's {plugin} plugin"
        self.inputs = _ports(meta.inputs, compiled.inputs)
        self.outputs = _ports(meta.outputs, compiled.outputs)
        # What is an input and an output at once has one name there, and OpenVINO writes nothing.
        self.passed = tuple(
            (source, target)
            for source, given in self.inputs.items()
            for target, made in self.outputs.items()
            if given.get_names() & made.get_names()
        )

    def bind(self, borders: Mapping[str, Array]) -> OpenvinoInvocation:
        """A request of OpenVINO's over the border buffers themselves: nothing is copied."""
        return OpenvinoInvocation(self, borders)


def _ports(names: Sequence[str], ports: Sequence[Any]) -> dict[str, Any]:
    """The port of each border, in order; by name where OpenVINO dropped inputs that nothing reads.

    (Not by name alone: an operator that OpenVINO removes takes its operand's name along.)
    """
    if len(ports) == len(names):
        return dict(zip(names, ports, strict=True))
    return {name: port for port in ports for name in names if name in port.get_names()}


class OpenvinoInvocation:
    """One request."""

    def __init__(self, executable: OpenvinoExecutable, borders: Mapping[str, Array]) -> None:
        import openvino

        self._meta, self._borders = executable.meta, borders
        self._request = executable.compiled.create_infer_request()
        self._microseconds = 0.0
        self._passed = executable.passed
        for names, ports in ((self._meta.inputs, executable.inputs), (self._meta.outputs, executable.outputs)):
            for name in names:
                if name in ports:
                    self._request.set_tensor(ports[name], openvino.Tensor(borders[name], shared_memory=True))

    def run(self) -> None:
        """Run on the bound buffers. Raises what OpenVINO raises, as BlobRefused."""
        start = time.perf_counter_ns()
        try:
            self._request.infer()
        except RuntimeError as error:
            raise BlobRefused(f"OpenVINO failed to run {self._meta.name}: {error}", hint=_AGAIN) from error
        for source, target in self._passed:
            np.copyto(self._borders[target], self._borders[source])
        self._microseconds = (time.perf_counter_ns() - start) / 1000

    def trace(self) -> dict[str, Array]:
        """Borders only: what lies between is fused inside."""
        self.run()
        return {name: self._borders[name].copy() for name in (*self._meta.inputs, *self._meta.outputs)}

    def timings(self) -> Sequence[tuple[str, float]]:
        """The subgraph as one kernel."""
        return ((self._meta.blob, self._microseconds),)
