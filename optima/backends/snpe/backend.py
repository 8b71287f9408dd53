"""The compile half of ``snpe``: float32 subgraphs as quantised ONNX models, and as a ``.dlc`` where a tool is here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from devices import DeviceEnum, DeviceRef
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.bundle import unpack
from optima.backends.quantised import (
    answers,
    border_samples,
    float_model,
    job_key,
    quantising_tools,
    tool_versions,
    widened,
)
from optima.backends.snpe.job import DLC, FLOAT, QDQ, QUALITY, Request
from optima.backends.snpe.manifest import Made, subgraph_meta
from optima.backends.snpe.options import OPSET, SnpeOptions, read_options
from optima.backends.snpe.sdk import Sdk
from optima.backends.snpe.support import computed_otherwise, probed, tabled
from optima.backends.snpe.tools import choose
from optima.graph import Graph
from optima.ops.entry import Answer, No
from optima.quantise import calibration_files
from optima.tools import Tool
from optima.version import __version__

HEXAGON = DeviceEnum.DEVICE_KIND_HEXAGON


class SnpeBackend:
    """One job per subgraph; the ``.dlc`` is only ever written by Qualcomm's own libraries."""

    name = "snpe"
    kinds = (HEXAGON,)

    def __init__(self) -> None:
        self._planned: WeakKeyDictionary[Graph, tuple[Job, dict[str, str]]] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Yes where the op has an ONNX form, computes float32 (or float16), and is taken by the device."""
        chosen, graph = read_options(options), widened(graph)
        found = answers(graph, op_names, HEXAGON, OPSET)
        taken = [name for name in op_names if found[name]]
        maker = choose(chosen, options.strict)
        if isinstance(maker, Tool) and all(tool.found for tool in quantising_tools()):
            found |= probed(graph, taken, chosen, maker)
        else:
            found |= {name: tabled(graph.op_by_name[name]) for name in taken}
        found |= {name: No(reason) for name in taken if (reason := computed_otherwise(graph, graph.op_by_name[name]))}
        return found

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The chip and the widths."""
        chosen = read_options(options)
        return {
            "kind": HEXAGON.value,
            "soc_model": chosen.soc_model,
            "htp_arch": chosen.htp_arch,
            "quantisation": str(chosen.scheme),
        }

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job. Raises ToolMissing, CalibrationError: before anything is compiled."""
        chosen, subgraph = read_options(options), widened(subgraph)
        versions = tool_versions(*quantising_tools())
        maker = choose(chosen, options.strict)
        samples = border_samples(subgraph, device, calibration)
        model = float_model(subgraph, OPSET)
        request = _request(subgraph.name, model, samples, chosen, maker)
        versions |= _maker_versions(maker)
        settings = chosen.model_dump(exclude={"timeout_s", "toolchain"})
        key = job_key(self.name, model, samples, {**settings, "name": subgraph.name, "tools": versions})
        job = Job(
            key,
            "optima.backends.snpe.job:compile_subgraph",
            request,
            label=f"{subgraph.name} on {device}",
            ops=tuple(op.name for op in subgraph.ops),
        )
        self._planned[subgraph] = job, versions
        return (job,)

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The quantised model, the ``.dlc``, and without it what is needed to make one."""
        subgraph = widened(subgraph)
        job, versions = self._planned[subgraph]
        made, name = unpack(results[job.key]), subgraph.name
        files = {f"{name}.qdq.onnx": made[QDQ]}
        if DLC in made:
            files[f"{name}.dlc"] = made[DLC]
        else:
            files |= {f"{name}.onnx": made[FLOAT], **calibration_files(job.payload.samples)}
        meta = subgraph_meta(subgraph, device, job.payload, Made(made.get(DLC), json.loads(made[QUALITY])), versions)
        return SubgraphArtifact(files=files, meta=meta, produced_by={"optima": __version__, **versions})


def _request(
    name: str, model: bytes, samples: Mapping[str, Any], chosen: SnpeOptions, maker: Sdk | Tool | None
) -> Request:
    return Request(
        name=name,
        model=model,
        samples=samples,
        scheme=chosen.scheme,
        min_sqnr_db=chosen.min_sqnr_db,
        soc_model=chosen.soc_model,
        htp_arch=chosen.htp_arch,
        timeout_s=chosen.timeout_s,
        maker=maker if isinstance(maker, Sdk) else maker.name if maker else "",
    )


def _maker_versions(maker: Sdk | Tool | None) -> dict[str, str]:
    if isinstance(maker, Sdk):
        return {"SNPE or QAIRT SDK": maker.identity}
    return {maker.name: maker.version} if maker else {}


def backend() -> Backend:
    """The thunk that the registry calls."""
    return SnpeBackend()
