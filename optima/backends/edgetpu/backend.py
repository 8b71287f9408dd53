"""The compile half of the Edge TPU: one int8 model per subgraph.

A device's dtypes are int8 and uint8; a float32 model is quantised for it with the caller's representative samples.
Its borders stay float32 in PyTorch's shape: the model quantises and lays out inside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from devices import DeviceEnum, DeviceRef, InternalError
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.bundle import unpack
from optima.backends.device_options import read_device_options
from optima.backends.edgetpu.build import COMPILED, INT8, REPORT
from optima.backends.edgetpu.meta import Facts, meta_of
from optima.backends.edgetpu.options import TpuOptions
from optima.backends.edgetpu.tools import edgetpu_compiler, package_versions
from optima.backends.quantised import widened, widened_rows
from optima.graph import Graph
from optima.ops.entry import Answer
from optima.passes import PassContext
from optima.passes.drop_noop_views import drop_noop_views
from optima.passes.drop_unused_ops import drop_unused_ops
from optima.passes.fold_batchnorm import fold_batchnorm
from optima.tflite_export import TfliteModel, emit, host_ops, serialized, tflite_answers

_PASSES = (drop_noop_views, drop_unused_ops, fold_batchnorm)


@dataclass(frozen=True)
class _Planned:
    """What ``link`` needs of a plan."""

    key: str
    facts: Facts


class EdgeTpuBackend:
    """A float TFLite model of our own, made int8, then compiled by Google's compiler if it is there."""

    name = "edgetpu"
    kinds = (DeviceEnum.DEVICE_KIND_TPU,)

    def __init__(self) -> None:
        self._planned: WeakKeyDictionary[Graph, _Planned] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Each op's TFLite route answers; tensors other than parameters must be float32 or float16."""
        _options(device, options)
        return tflite_answers(widened(graph), op_names, device.kind.value)

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The precision, and the options of the compiler."""
        return {"device": "edgetpu", "precision": "int8", **_options(device, options).model_dump()}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job. Raises ToolMissing, CalibrationError without usable samples, DeviceOptionError, UserError for
        parameters that are not finite."""
        chosen = _options(device, options)
        versions = package_versions()
        tool = edgetpu_compiler(needed=options.strict)
        if tool is not None:
            # Without a version two compilers are told apart by their paths.
            versions["edgetpu_compiler"] = tool.version or tool.path
        subgraph = widened(subgraph)
        samples = widened_rows(calibration.at(subgraph.inputs, subgraph.name))
        emitted = _emitted(subgraph, options.dump_dir)
        payload = {
            "name": subgraph.name,
            "model": serialized(emitted, to_be_int8=True),
            "samples": [{n: np.ascontiguousarray(a) for n, a in sample.items()} for sample in samples],
            "inputs": list(subgraph.inputs),
            "outputs": list(subgraph.outputs),
            "options": chosen.model_dump(),
            "compiler": tool.path if tool is not None else "",
        }
        key = _key(payload, versions)
        facts = Facts(versions, chosen, len(samples), host_ops(emitted))
        self._planned[subgraph] = _Planned(key, facts)
        return (_job(subgraph, key, payload),)

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """``<subgraph>.tflite``, ``<subgraph>_edgetpu.tflite`` where it was compiled, and what is known of them."""
        subgraph = widened(subgraph)
        if subgraph not in self._planned:
            raise InternalError(f"{subgraph.name} is linked before it was planned")
        planned = self._planned[subgraph]
        made = unpack(results[planned.key])
        report = json.loads(made[REPORT])
        files = {f"{subgraph.name}.tflite": made[INT8]}
        if COMPILED in made:
            files[f"{subgraph.name}_edgetpu.tflite"] = made[COMPILED]
        facts = planned.facts
        return SubgraphArtifact(
            files=files,
            meta=meta_of(subgraph, facts, report, is_compiled=COMPILED in made),
            produced_by=facts.versions,
            executed_on=facts.simulator,
        )


def _options(device: DeviceRef, options: CompileOptions) -> TpuOptions:
    return read_device_options(TpuOptions, device.kind, options)


def _emitted(subgraph: Graph, dump_dir: str) -> TfliteModel:
    """The float model, of one name: equal subgraphs are compiled once."""
    graph = subgraph
    texts = {"00_traced.txt": graph.dump()}
    for number, run in enumerate(_PASSES, start=1):
        graph = run(graph, PassContext(lanes=1)).verify()
        texts[f"{number:02}_{run.__name__}.txt"] = graph.dump()
    emitted = emit(replace(graph, name="main"))
    texts[f"{len(_PASSES) + 1:02}_tflite.txt"] = emitted.dump()
    if dump_dir:
        folder = Path(dump_dir) / subgraph.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    return emitted


def _key(payload: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Over the float model, the samples, the options, the versions of all tools, and what runs in the job."""
    digest = hashlib.sha256(_sources_digest())
    digest.update(json.dumps([payload["options"], dict(versions), payload["inputs"]], sort_keys=True).encode())
    digest.update(hashlib.sha256(payload["model"]).digest())
    for sample in payload["samples"]:
        for name in payload["inputs"]:
            digest.update(f"{name}{sample[name].shape}{sample[name].dtype}".encode() + sample[name].tobytes())
    return digest.hexdigest()


@cache
def _sources_digest() -> bytes:
    """Over the source text of this folder and of the writer: an edited step makes other bytes."""
    root = Path(__file__).parent.parent.parent
    files = [f for room in ("backends/edgetpu", "tflite_export") for f in (root / room).glob("*.py")]
    texts = {f.relative_to(root).as_posix(): f.read_bytes() for f in files}
    return hashlib.sha256(b"\0".join(name.encode() + b"\0" + text for name, text in sorted(texts.items()))).digest()


def _job(subgraph: Graph, key: str, payload: Mapping[str, Any]) -> Job:
    origin = next((o for op in subgraph.ops for o in op.origins), None)
    return Job(
        key,
        "optima.backends.edgetpu.build:build",
        payload,
        label=subgraph.name,
        ops=tuple(op.name for op in subgraph.ops),
        where=str(origin) if origin else "",
        code=origin.code if origin else "",
    )


def backend() -> Backend:
    """The thunk that the registry calls."""
    return EdgeTpuBackend()
