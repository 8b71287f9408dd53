"""One operator case on one kind of device: through its backend's check, plan, link and load, beside torch."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices import DeviceEnum, DeviceRef, OptimaError, spec_of
from optima.backends import backend_of, loader_of
from optima.backends.base import CompileOptions, LoadEnv, SubgraphArtifact, SubgraphView
from optima.backends.gpu_route.errors import DeviceLacks
from optima.graph import Graph, TensorType
from optima.native import aligned_empty
from optima.ops.reference import call_reference, to_numpy, to_torch
from optima.quantise import QuantisationError, sqnr_db
from optima.runtime.presence import presence_of
from tests.ops.case import OpCase

Array = np.ndarray[Any, Any]
PROVEN, NOISY, REFUSED, WRONG, CRASHED = "proven", "noisy", "refused", "wrong", "crashed"
#: compiled, and beyond what the device or simulator at hand can run
NOT_RUN = "not run"
#: operands that a model holds as parameters, and so do cases on a device
_PARAMETERS = ("weight", "bias", "running_mean", "running_var", "params", "mat2")
#: signal to quantisation noise that a kind with integers inside must reach, in dB
LEAST_SQNR_DB = 20.0
#: below this a quantised result is refused when it is compiled, and wrong when only the device has it
LEAST_NOISY_DB = 8.0
_QUANTISING = ("snpe", "edgetpu")
#: as many samples as a quantising device is calibrated with
_SAMPLES = 8


@dataclass(frozen=True)
class Outcome:
    """What became of a case. ``reason`` is why it was refused, how it differs, or what was raised."""

    case: str
    op: str
    status: str
    reason: str = ""


class CaseSamples:
    """Representative data of a case: it stands where ``optima.calibration.Calibration`` stands for a model."""

    def __init__(self, case: OpCase) -> None:
        self._values = [values_of(case, seed) for seed in range(_SAMPLES)]

    def __len__(self) -> int:
        return len(self._values)

    def at(self, names: Sequence[str], subgraph: str) -> list[dict[str, Array]]:
        """One dict of arrays by tensor name per sample."""
        return [{name: values[name] for name in names} for values in self._values]


def graph_of(case: OpCase) -> Graph:
    """The case's graph, its weights as parameters; its operands' tensors are called ``of_<role>``."""
    graph, values = case.graph(), values_of(case)
    (op,) = graph.ops
    names = {role: f"of_{role}" for role in graph.inputs}  # LiteRT takes no tensor called "self"
    tensors = {}
    for old, tensor in graph.tensors.items():
        name = names.get(old, old)
        tensors[name] = replace(tensor, name=name)
        if old in names and len(names) > 1 and old.split(".")[0] in _PARAMETERS:
            tensors[name] = replace(tensor, name=name, is_param=True, value=values[name], source=old)
    inputs = tuple(name for name in names.values() if not tensors[name].is_param)
    renamed = replace(op, inputs=tuple(names[n] for n in op.inputs))
    return replace(graph, ops=(renamed,), tensors=tensors, inputs=inputs)


def values_of(case: OpCase, seed: int = 0) -> dict[str, Array]:
    """The operands' values by tensor name."""
    return {f"of_{role}": array for role, array in case.values(seed).items()}


def judge(kind: DeviceEnum, case: OpCase, backend_name: str = "") -> Outcome:
    """Compile and run a case on a kind of device, or its simulator, and compare. ``backend_name`` "": its default."""
    device = DeviceRef(kind, 0)
    name = backend_name or spec_of(kind).backend
    graph = graph_of(case)
    answer = backend_of(name).check(graph, [graph.ops[0].name], device, CompileOptions())[graph.ops[0].name]
    if not answer:
        return Outcome(case.id, case.op, REFUSED, getattr(answer, "reason", ""))
    try:
        differs = _differs(graph, case, device, name)
    except QuantisationError as error:
        return Outcome(case.id, case.op, REFUSED, f"in eight bits: {error.message}")
    except DeviceLacks as error:
        return Outcome(case.id, case.op, NOT_RUN, "; ".join(p.reason for p in error.problems) or error.message)
    # Whatever a compiler or a runtime raises is what the sweep looks for.
    except Exception as error:  # noqa: BLE001
        kind_of = "" if isinstance(error, OptimaError) else f"{type(error).__name__}: "
        return Outcome(case.id, case.op, CRASHED, f"{kind_of}{error}".split("\n")[0][:300])
    status = NOISY if differs.startswith("only") else WRONG if differs else PROVEN
    return Outcome(case.id, case.op, status, differs)


def _differs(graph: Graph, case: OpCase, device: DeviceRef, name: str) -> str:
    part = replace(graph, name="subgraph_0")
    run = _Compiled(part, case, device, name)
    if name not in _QUANTISING:
        return _difference(part, case, run.on(values_of(case)))
    return _noise(part, case, run)


class _Compiled:
    """A case through plan, its jobs, link and load."""

    def __init__(self, part: Graph, case: OpCase, device: DeviceRef, name: str) -> None:
        backend, options = backend_of(name), CompileOptions()
        results = {}
        for job in backend.plan(part, device, options, CaseSamples(case)):
            module, _, function = job.function.partition(":")
            results[job.key] = getattr(importlib.import_module(module), function)(job.payload)
        view = _view(part, backend.link(part, device, options, results))
        load = loader_of(name)
        log = logging.getLogger("conformance")
        log.setLevel(logging.ERROR)
        self._part = part
        self._executable = load(view, device, LoadEnv(1, True, log, presence_of(load)(device)))

    def on(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for operand values by tensor name."""
        part, borders = self._part, {}
        for tensor in (*part.inputs, *part.outputs):
            kind = part.type_of(tensor)
            borders[tensor] = aligned_empty(kind.shape, kind.dtype)
            if tensor in part.inputs:
                borders[tensor][...] = values[tensor].reshape(kind.shape)
            elif kind.dtype.startswith("float"):
                borders[tensor].fill(np.nan)  # what the device does not write shows
        self._executable.bind(borders).run()
        return {tensor: borders[tensor] for tensor in part.outputs}


def _noise(part: Graph, case: OpCase, run: _Compiled) -> str:
    """Over the samples that it was calibrated with: too little signal to noise, or only as much as eight bits give."""
    rows = [CaseSamples(case).at(part.inputs, part.name)[k] for k in range(_SAMPLES)]
    constants = {t.name: t.value for t in part.params if t.value is not None}
    wanted = [_wanted(part, {**constants, **row}) for row in rows]
    got = [run.on(row) for row in rows]
    for k, name in enumerate(part.outputs):
        ratio = sqnr_db(np.stack([w[k] for w in wanted]), np.stack([g[name] for g in got]))
        if not ratio >= LEAST_NOISY_DB:
            return f"{name}: {ratio:.1f} dB"
        if ratio < LEAST_SQNR_DB:
            return f"only {ratio:.1f} dB at {name}"
    return ""


def _view(part: Graph, artifact: SubgraphArtifact) -> SubgraphView:
    meta = json.loads(json.dumps(dict(artifact.meta)))
    constants = {}
    for constant in artifact.constants:
        constants[constant.name] = aligned_empty(constant.array.shape, constant.dtype)
        constants[constant.name][...] = constant.array
    return SubgraphView(part.name, meta, artifact.files, constants, part.inputs, part.outputs)


def _wanted(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    (op,) = graph.ops
    operands = [to_torch(values[n], graph.type_of(n).dtype) for n in op.inputs]
    return [to_numpy(result) for result in call_reference(op, operands)]


def _difference(graph: Graph, case: OpCase, got: Mapping[str, Array]) -> str:
    """How the results differ from torch's, or ""."""
    from tests.ops.harness import compare

    wanted = dict(zip(graph.outputs, _wanted(graph, values_of(case)), strict=True))
    if case.op == "topk":
        return _topk_difference(case, wanted[graph.outputs[0]], got, graph)
    for name, want in wanted.items():
        kind = graph.type_of(name)
        try:
            compare(name, TensorType(kind.shape, kind.dtype), got[name], want, max(case.tolerance, 1e-5))
        except AssertionError as error:
            return " ".join(str(error).split())[:300]
    return ""


def _topk_difference(case: OpCase, values: Array, got: Mapping[str, Array], graph: Graph) -> str:
    """Which of equal elements are picked, and their order, is open."""
    dim = case.attrs.get("dim", -1)
    have, places = (np.atleast_1d(got[name]) for name in graph.outputs)
    values = np.atleast_1d(values)
    pointed = np.take_along_axis(np.atleast_1d(case.values()["self"]), places.astype(np.int64), dim)
    same = np.array_equal(np.sort(have, dim), np.sort(values, dim)) and np.array_equal(pointed, have)
    return "" if same else "other elements than the largest"
