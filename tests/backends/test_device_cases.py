"""A fixed slice of the operator cases on each kind that can execute here; ``python -m conformance.devices`` has all."""

from __future__ import annotations

import os

import pytest

from conformance.device_case import CRASHED, NOT_RUN, PROVEN, WRONG, CaseSamples, graph_of, judge
from conformance.device_routes import ROUTES, Route, why_not
from conformance.devices import cases
from devices import DeviceRef
from optima.backends import backend_of
from optima.backends.base import CompileOptions
from tests.ops.case import OpCase

#: every so many-th operator; `make test-devices` takes more of them
_STEP = 3 if os.environ.get("OPTIMA_TEST_DEVICES") else 12
#: fewer of what is compiled whole by tests/ops, or takes seconds for each case
_FEWER = {"X64": 5, "HEXAGON, htp": 10}
#: those under qemu have a slice of their own: tests/backends/cross/test_slices.py
_HERE = [route for route in ROUTES if route.machine is None]


def _slice(route: Route) -> list[OpCase]:
    """The first case of every so many-th operator."""
    table: dict[str, list[OpCase]] = {}
    for case in cases():
        table.setdefault(case.op, []).append(case)
    return [found[0] for _, found in sorted(table.items())[:: _STEP * _FEWER.get(route.title, 1)]]


def _need(route: Route) -> None:
    if lacking := why_not(route):
        pytest.skip(f"{route.title}: {lacking}")


@pytest.mark.parametrize("route", _HERE, ids=lambda r: r.title)
def test_a_slice_of_the_cases_equals_torch(route: Route) -> None:
    _need(route)
    outcomes = [judge(route, case) for case in _slice(route)]
    assert not [o for o in outcomes if o.status in (WRONG, CRASHED)]
    if route.backend == "null":
        assert {o.status for o in outcomes} == {NOT_RUN}
    else:
        assert any(o.status == PROVEN for o in outcomes)


@pytest.mark.parametrize("route", [r for r in _HERE if r.like], ids=lambda r: r.title)
def test_kinds_that_one_stands_for_get_the_same_bytes(route: Route) -> None:
    """A job's key covers all that its bytes depend on."""
    _need(route)
    backend, options = backend_of(route.backend), CompileOptions()
    for case in [c.finite() for c in _slice(route)]:
        graph = graph_of(case)
        (name,) = graph.op_by_name
        found = []
        for kind in (route.kind, *route.like):
            device = DeviceRef(kind, 0)
            taken = bool(backend.check(graph, [name], device, options)[name])
            jobs = backend.plan(graph, device, options, CaseSamples(case)) if taken else ()
            found.append((taken, [job.key for job in jobs]))
        assert found == [found[0]] * len(found), case.id
