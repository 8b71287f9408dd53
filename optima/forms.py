"""The forms in which each subgraph is compiled: one per kind of its preference list, and one for the CPU beside them.

The CPU's form is what ``load_model(path, fallback=True)`` runs where neither a device of the list nor a simulator
of one is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices import DeviceEnum, DeviceRef, Family, UserError
from optima.backends.base import Job
from optima.ops.entry import No
from optima.packaging import LinkedSubgraph
from optima.partition import Split, Subgraph
from optima.routing import Form, Router

_DECLINED = "compiled with cpu_fallback=False"


@dataclass(frozen=True, eq=False)
class SubgraphPlan:
    """A subgraph's forms, first choice first, and the jobs of all. ``no_fallback`` says why ``fallback`` is None, ""
    where the list itself names a CPU."""

    subgraph: Subgraph
    forms: tuple[Form, ...]
    fallback: Form | None
    no_fallback: str
    jobs: tuple[Job, ...]

    def link(self, router: Router, results: Mapping[str, bytes]) -> LinkedSubgraph:
        """Every form with its files, from the jobs' results by key."""
        first, *others = (router.link(form, results) for form in self.forms)
        fallback = router.link(self.fallback, results) if self.fallback else None
        return LinkedSubgraph(self.subgraph, first, tuple(others), fallback, self.no_fallback)


def plan_forms(
    split: Split, router: Router, calibration: Any, device_info: Sequence[DeviceEnum], cpu_fallback: bool
) -> list[SubgraphPlan]:
    """Plan every subgraph. A CPU form that its backend refuses is left out, with the reason; else errors pass."""
    cpu = _host(split, device_info) if cpu_fallback else None
    return [_plan(part, router, calibration, cpu) for part in split.subgraphs]


def _host(split: Split, device_info: Sequence[DeviceEnum]) -> DeviceRef:
    """The CPU that the model's other devices sit beside: one of the map, else X64, else one of ``device_info``."""
    used = [device for part in split.subgraphs for device in part.devices if _is_cpu(device.kind)]
    allowed = [kind for kind in device_info if _is_cpu(kind)]
    if used:
        return DeviceRef(used[0].kind, 0)
    x64 = DeviceEnum.DEVICE_KIND_X64
    return DeviceRef(x64 if x64 in allowed or not allowed else allowed[0], 0)


def _is_cpu(kind: DeviceEnum) -> bool:
    return kind.family is Family.CPU


def _plan(part: Subgraph, router: Router, calibration: Any, cpu: DeviceRef | None) -> SubgraphPlan:
    forms = router.forms(part)
    jobs = [job for form in forms for job in router.plan(form, calibration)]
    if any(_is_cpu(device.kind) for device in part.devices):
        return SubgraphPlan(part, forms, None, "", tuple(jobs))
    if cpu is None:
        return SubgraphPlan(part, forms, None, _DECLINED, tuple(jobs))
    fallback = Form(part, (cpu,), "fallback")
    reason = _why_not(part, router, cpu)
    if not reason:
        try:
            jobs += router.plan(fallback, calibration)
        except UserError as error:
            reason = error.message
    return SubgraphPlan(part, forms, None if reason else fallback, reason, tuple(jobs))


def _why_not(part: Subgraph, router: Router, cpu: DeviceRef) -> str:
    """Why the CPU cannot run the subgraph; "" where it can."""
    answers = router.check(part.graph, [op.name for op in part.graph.ops], cpu)
    refused = [f"{name} ({answer.reason})" for name, answer in answers.items() if isinstance(answer, No)]
    if not refused:
        return ""
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return f"{cpu} cannot run {refused[0]}{more}"
