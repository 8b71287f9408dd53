"""One operator case on one kind of device: through its backend's check, plan, link and load, beside torch."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from conformance.device_answers import ONLY, difference, noise
from conformance.device_routes import Route
from devices import OptimaError
from optima.backends import backend_of, loader_of
from optima.backends.base import Executable, LoadEnv, SubgraphArtifact, SubgraphView
from optima.backends.gpu_route.errors import DeviceLacks
from optima.backends.null.load import NothingRuns
from optima.graph import Graph
from optima.native import aligned_empty
from optima.quantise import QuantisationError
from optima.runtime.presence import presence_of
from tests.ops.case import OpCase

Array = np.ndarray[Any, Any]
PROVEN, NOISY, REFUSED, WRONG, CRASHED = "proven", "noisy", "refused", "wrong", "crashed"
#: compiled, and beyond what the device or simulator at hand can run
NOT_RUN = "not run"
#: operands that a model holds as parameters, and so do cases on a device
_PARAMETERS = ("weight", "bias", "running_mean", "running_var", "params", "mat2")
#: as many samples as a quantising device is calibrated with
_SAMPLES = 8
_LOG = logging.getLogger("conformance")
_LOG.setLevel(logging.ERROR)  # that a device is simulated need not be said 2,000 times
_T = TypeVar("_T")


@dataclass(frozen=True)
class Outcome:
    """What became of a case. ``reason`` is why it was refused, how it differs, or what was raised."""

    case: str
    op: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Compiled:
    """A case as a subgraph, and what its backend's ``load`` gets."""

    case: OpCase
    part: Graph
    view: SubgraphView

    @property
    def values(self) -> dict[str, Array]:
        """The operands' values by tensor name."""
        return values_of(self.case)

    def outcome(self, fault: str) -> Outcome:
        """Proven where there is no fault."""
        status = NOISY if fault.startswith(ONLY) else WRONG if fault else PROVEN
        return Outcome(self.case.id, self.case.op, status, fault)


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
    return replace(graph, name="subgraph_0", ops=(renamed,), tensors=tensors, inputs=inputs)


def values_of(case: OpCase, seed: int = 0) -> dict[str, Array]:
    """The operands' values by tensor name."""
    return {f"of_{role}": array for role, array in case.values(seed).items()}


def judge(route: Route, case: OpCase) -> Outcome:
    """Compile a case, run it in this process on the device or its simulator, and compare."""
    with route.chosen():
        made = compiled(route, case)
        if isinstance(made, Outcome):
            return made
        found = held(made.case, lambda: made.outcome(_fault(route, made)))
    excuse = route.excuses.get(found.case, "") if found.status == WRONG else ""
    return replace(found, status=NOT_RUN, reason=excuse) if excuse else found


def compiled(route: Route, case: OpCase) -> Compiled | Outcome:
    """A case through check, plan, its jobs and link; or why it did not come so far."""
    chosen = case.finite() if route.finite else case
    return held(chosen, lambda: _compiled(route, chosen))


def held(case: OpCase, work: Callable[[], _T]) -> _T | Outcome:
    """What ``work`` gives, or the outcome that its error is."""
    try:
        return work()
    except QuantisationError as error:
        return Outcome(case.id, case.op, REFUSED, f"in eight bits: {error.message}")
    except (DeviceLacks, NothingRuns) as error:
        return Outcome(case.id, case.op, NOT_RUN, "; ".join(p.reason for p in error.problems) or error.message)
    # Whatever a compiler or a runtime raises is what the sweep looks for.
    except Exception as error:  # noqa: BLE001
        kind_of = "" if isinstance(error, OptimaError) else f"{type(error).__name__}: "
        return Outcome(case.id, case.op, CRASHED, f"{kind_of}{error}".split("\n")[0][:300])


def _compiled(route: Route, case: OpCase) -> Compiled | Outcome:
    part, backend, options = graph_of(case), backend_of(route.backend), route.compile_options
    (name,) = part.op_by_name
    answer = backend.check(part, [name], route.device, options)[name]
    if not answer:
        return Outcome(case.id, case.op, REFUSED, getattr(answer, "reason", ""))
    results = {}
    for job in backend.plan(part, route.device, options, CaseSamples(case)):
        module, _, function = job.function.partition(":")
        results[job.key] = getattr(importlib.import_module(module), function)(job.payload)
    return Compiled(case, part, _view(part, backend.link(part, route.device, options, results)))


def _view(part: Graph, artifact: SubgraphArtifact) -> SubgraphView:
    meta = json.loads(json.dumps(dict(artifact.meta)))
    constants = {}
    for constant in artifact.constants:
        constants[constant.name] = aligned_empty(constant.array.shape, constant.dtype)
        constants[constant.name][...] = constant.array
    types = {name: part.type_of(name) for name in (*part.inputs, *part.outputs)}
    return SubgraphView(part.name, meta, artifact.files, constants, part.inputs, part.outputs, types)


def _fault(route: Route, made: Compiled) -> str:
    """How the answers of the loaded case differ from torch's, or ""."""
    load = loader_of(route.backend)
    target = backend_of(route.backend).resolve(route.device, route.compile_options)
    loaded = load(made.view, route.device, LoadEnv(1, True, _LOG, presence_of(load)(route.device, target)))
    if not route.quantises:
        return difference(made.part, made.case, made.values, _run(loaded, made.part, made.values))
    # Judged on the samples that it was calibrated with.
    rows = [values_of(made.case, seed) for seed in range(_SAMPLES)]
    constants = {t.name: t.value for t in made.part.params if t.value is not None}
    return noise(made.part, [row | constants for row in rows], [_run(loaded, made.part, row) for row in rows])


def _run(loaded: Executable, part: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs for operand values by tensor name."""
    borders = {}
    for tensor in (*part.inputs, *part.outputs):
        kind = part.type_of(tensor)
        borders[tensor] = aligned_empty(kind.shape, kind.dtype)
        if tensor in part.inputs:
            borders[tensor][...] = values[tensor].reshape(kind.shape)
        elif kind.dtype.startswith("float"):
            borders[tensor].fill(np.nan)  # what the device does not write shows
    loaded.bind(borders).run()
    return {tensor: borders[tensor] for tensor in part.outputs}
