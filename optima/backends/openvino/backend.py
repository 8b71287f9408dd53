"""The compile half: a subgraph as ONNX, and a blob by the device's own compiler or, labelled, by the CPU's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from devices import DeviceEnum, DeviceRef, spec_of
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.openvino.core import core_of_process
from optima.backends.openvino.meta import CPU_BLOB, DEVICE_BLOB, MYRIAD_BLOB, OpenvinoSubgraph
from optima.backends.openvino.options import OpenvinoOptions, opset_of, options_of, plugin_of
from optima.backends.openvino.support import myriad_answers, plugin_answers
from optima.backends.openvino.tools import base_tools, myriad_python
from optima.graph import Graph
from optima.onnx_export import dtype_answers, onnx_answers, to_onnx
from optima.ops.entry import Answer
from optima.tools import ToolMissing, require
from optima.version import __version__


class OpenvinoBackend:
    """One job per subgraph."""

    name = "openvino"
    kinds = (DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_INTELGPU, DeviceEnum.DEVICE_KIND_MYRIAD)

    def __init__(self) -> None:
        self._onnx: WeakKeyDictionary[Graph, dict[int, bytes]] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """The dtypes of the kind, then the ONNX form, then what OpenVINO's plugin says, then MYRIAD's own compiler.

        Raises ToolMissing, and ToolFailed where the old interpreter does not answer.
        """
        require(*base_tools())
        chosen = options_of(device, options)
        plugin = plugin_of(device, chosen)
        answers = dtype_answers(graph, op_names, spec_of(device.kind))
        answers |= onnx_answers(graph, [n for n in op_names if answers[n]], opset_of(plugin))
        asked = _asked(plugin)
        answers |= plugin_answers(graph, [n for n in op_names if answers[n]], asked, opset_of(plugin))
        if plugin == "MYRIAD" and (python := myriad_python()).found:
            left = [n for n in op_names if answers[n]]
            answers |= myriad_answers(graph, left, python.path, opset_of(plugin), chosen.timeout_s)
        return answers

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The plugin, the precision, and OpenVINO's version."""
        chosen = options_of(device, options)
        return {"plugin": plugin_of(device, chosen), "precision": chosen.precision, "openvino": _version()}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """Raises ToolMissing where only a stand-in could be made and ``strict`` forbids it."""
        return (self._job(subgraph, device, options),)

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The blob, and the ONNX form from which another version or CPU compiles it again."""
        chosen = options_of(device, options)
        route = _route(device, chosen)
        job = self._job(subgraph, device, options)
        stem = subgraph.name
        blob = f"{stem}.blob" if route["own"] else f"{stem}.cpu.blob"
        source = self._source(subgraph, opset_of(route["plugin"]))
        meta = OpenvinoSubgraph(
            format_version=1,
            format=route["format"],
            name=stem,
            blob=blob,
            onnx=f"{stem}.onnx",
            plugin=route["plugin"],
            opset=opset_of(route["plugin"]),
            config=chosen.config(route["compiler"]),
            compiled_for_device=route["own"],
            next_command="" if route["own"] else _next_command(route["plugin"]),
            content_sha256=job.key,
            inputs=subgraph.inputs,
            outputs=subgraph.outputs,
        )
        return SubgraphArtifact(
            files={blob: results[job.key], f"{stem}.onnx": source},
            meta=meta.model_dump(mode="json"),
            produced_by={"optima": __version__, **route["versions"]},
            executed_on="" if route["compiler"] == "MYRIAD" else f"OpenVINO {route['compiler']} plugin",
        )

    def _source(self, subgraph: Graph, opset: int) -> bytes:
        known = self._onnx.setdefault(subgraph, {})
        if opset not in known:
            known[opset] = to_onnx(subgraph, opset)
        return known[opset]

    def _job(self, subgraph: Graph, device: DeviceRef, options: CompileOptions) -> Job:
        chosen = options_of(device, options)
        route = _route(device, chosen)
        if options.strict and not route["own"]:
            raise ToolMissing(
                f"{subgraph.name}: {device} has no compiler here, and strict_targets forbids a stand-in",
                hint=_next_command(route["plugin"]),
            )
        payload: dict[str, Any] = {"name": subgraph.name, "onnx": self._source(subgraph, opset_of(route["plugin"]))}
        if route["compiler"] == "MYRIAD":
            chip = {key: getattr(chosen, key) for key in ("shaves", "cmx_slices", "streams")}
            payload |= {"python": myriad_python().path, "chip": chip, "timeout_s": chosen.timeout_s}
        else:
            payload |= {"plugin": route["compiler"], "config": chosen.config(route["compiler"])}
        function = "compile_myriad" if route["compiler"] == "MYRIAD" else "compile_blob"
        origin = next((o for op in subgraph.ops for o in op.origins), None)
        return Job(
            _key(payload, route["versions"]),
            f"optima.backends.openvino.compile:{function}",
            payload,
            label=subgraph.name,
            ops=tuple(op.name for op in subgraph.ops),
            where=str(origin) if origin else "",
            code=origin.code if origin else "",
            preflight="optima.backends.openvino.compile:find_openvino",
        )


def _asked(plugin: str) -> str:
    """The plugin that can answer here; the CPU's for those that are not."""
    return plugin if plugin in core_of_process().available_devices else "CPU"


def _route(device: DeviceRef, chosen: OpenvinoOptions) -> dict[str, Any]:
    """Who compiles: the kind's own compiler where it is here, else the CPU plugin."""
    plugin = plugin_of(device, chosen)
    versions = {"openvino": _version()}
    if plugin == "MYRIAD" and (python := myriad_python()).found:
        route = {"compiler": "MYRIAD", "format": MYRIAD_BLOB, "own": True}
        versions = {"openvino (MYRIAD)": "2021.4", "python (MYRIAD)": python.version}
    elif plugin == "CPU":
        route = {"compiler": "CPU", "format": CPU_BLOB, "own": True}
    elif plugin in core_of_process().available_devices:
        route = {"compiler": plugin, "format": DEVICE_BLOB, "own": True}
    else:
        route = {"compiler": "CPU", "format": CPU_BLOB, "own": False}
    return {**route, "plugin": plugin, "versions": versions}


def _next_command(plugin: str) -> str:
    if plugin == "MYRIAD":
        return myriad_python().install + ", and compile again"
    return f"compile again on a machine where OpenVINO lists {plugin} among its devices"


def _version() -> str:
    import openvino

    return str(openvino.get_version())


def _key(payload: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    plain = {key: value for key, value in payload.items() if key not in ("onnx", "name", "python", "timeout_s")}
    digest = hashlib.sha256(payload["onnx"])
    cpu = core_of_process().get_property("CPU", "FULL_DEVICE_NAME")
    digest.update(json.dumps([plain, dict(versions), cpu], sort_keys=True).encode())
    return digest.hexdigest()


def backend() -> Backend:
    """The thunk that the registry calls."""
    return OpenvinoBackend()
