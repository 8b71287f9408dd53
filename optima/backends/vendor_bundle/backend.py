"""The compile half of ``vendor_bundle``: the model as ONNX and QDQ ONNX, calibration data, a manifest.

Where the user has the vendor's compiler and says how to call it, what that writes is in ``vendor/``. No file here
bears a vendor's extension unless the vendor's compiler named it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from devices import DeviceEnum, DeviceRef
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.bundle import unpack
from optima.backends.quantised import (
    answers,
    border_meta,
    border_samples,
    float_model,
    job_key,
    quantising_tools,
    tool_versions,
    widened,
)
from optima.backends.vendor_bundle.job import FLOAT, QDQ, QUALITY, VENDOR, Request
from optima.backends.vendor_bundle.options import read_options
from optima.backends.vendor_bundle.template import PLACEHOLDERS, identity, variable_of
from optima.backends.vendor_bundle.tools import choose
from optima.graph import Graph
from optima.ops.entry import Answer
from optima.quantise import calibration_files
from optima.version import __version__


class VendorBundleBackend:
    """One job per subgraph."""

    name = "vendor_bundle"
    kinds = (DeviceEnum.DEVICE_KIND_CV22, DeviceEnum.DEVICE_KIND_ARA1)

    def __init__(self) -> None:
        self._planned: WeakKeyDictionary[Graph, tuple[Job, dict[str, str]]] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Yes where the op has an ONNX form and computes float32 or float16: no vendor lists its operators."""
        chosen = read_options(device.kind, options)
        choose(device.kind, options.strict)
        return answers(widened(graph), op_names, device.kind, chosen.opset)

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The kind and the widths."""
        chosen = read_options(device.kind, options)
        return {"kind": device.kind.value, "opset": chosen.opset, "quantisation": str(chosen.scheme)}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job. Raises ToolMissing, CommandTemplateError, CalibrationError: before anything is compiled."""
        chosen, subgraph = read_options(device.kind, options), widened(subgraph)
        versions = tool_versions(*quantising_tools())
        words = choose(device.kind, options.strict)
        samples = border_samples(subgraph, device, calibration)
        model = float_model(subgraph, chosen.opset)
        if words:
            versions["vendor"] = identity(words)
        settings = chosen.model_dump(exclude={"timeout_s"})
        key = job_key(self.name, model, samples, {**settings, "name": subgraph.name, "tools": versions})
        request = Request(subgraph.name, model, samples, chosen.scheme, chosen.min_sqnr_db, words, chosen.timeout_s)
        function = "optima.backends.vendor_bundle.job:compile_subgraph"
        ops = tuple(op.name for op in subgraph.ops)
        job = Job(key, function, request, label=f"{subgraph.name} on {device}", ops=ops)
        self._planned[subgraph] = job, versions
        return (job,)

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The bundle."""
        subgraph = widened(subgraph)
        job, versions = self._planned[subgraph]
        made, name, request = unpack(results[job.key]), subgraph.name, job.payload
        vendor = {path: data for path, data in made.items() if path.startswith(VENDOR)}
        files = {
            f"{name}.onnx": made[FLOAT],
            f"{name}.qdq.onnx": made[QDQ],
            **calibration_files(request.samples),
            **vendor,
        }
        meta = {
            "format_version": 1,
            "name": name,
            "device": str(device),
            "inputs": border_meta(subgraph, subgraph.inputs),
            "outputs": border_meta(subgraph, subgraph.outputs),
            "model": f"{name}.qdq.onnx",
            "artifact": sorted(vendor),
            "format": "as the vendor's compiler wrote it" if vendor else "onnx-qdq-bundle",
            "content_sha256": {path: hashlib.sha256(data).hexdigest() for path, data in sorted(vendor.items())},
            "producer": versions.get("vendor", "nothing compiled this for the device"),
            "compiled_for_device": bool(vendor),
            "quantisation": {"scheme": str(request.scheme), "samples": len(next(iter(request.samples.values())))},
            "sqnr_db": json.loads(made[QUALITY]),
            "sqnr_measured_on": f"onnxruntime {versions['onnxruntime']}, CPU, the representative data",
            "simulated_by": ["onnxruntime (CPU, the QDQ model)"],
            "next_command": [] if vendor else [_next_step(device)],
        }
        return SubgraphArtifact(files=files, meta=meta, produced_by={"optima": __version__, **versions})


def _next_step(device: DeviceRef) -> str:
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    return f"set {variable_of(device.kind)} to the vendor's command, with {known}, and compile again"


def backend() -> Backend:
    """The thunk that the registry calls."""
    return VendorBundleBackend()
