"""Kernels for ARM64, ARM and X86 give torch's answers, called from C under emulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from conformance.device_case import PROVEN, Outcome
from conformance.device_routes import Route, routes_of
from conformance.emulated import judge_emulated
from conformance.qemu import MACHINES
from devices import DeviceEnum
from tests.backends.cross.machine import need
from tests.backends.cross.slices import SLICES
from tests.ops.case import OpCase


def faults(route: Route, cases: Sequence[OpCase]) -> list[Outcome]:
    return [outcome for outcome in judge_emulated(route, cases) if outcome.status != PROVEN]


@pytest.mark.parametrize("kind", MACHINES, ids=lambda k: k.value)
@pytest.mark.parametrize("group", SLICES)
def test_the_answers_are_torchs(group: str, kind: DeviceEnum) -> None:
    need(kind)
    (route,) = routes_of(kind)
    assert not faults(route, SLICES[group])


@pytest.mark.parametrize(
    ("kind", "cpu"),
    [("ARM", "cortex-a8"), ("ARM", "cortex-a53"), ("ARM64", "neoverse-v1"), ("X86", "haswell")],
)
def test_other_models_of_a_kind(kind: str, cpu: str) -> None:
    """Half floats, which these convert each in another way: by a function, by FP16, by SVE's neighbours, by F16C."""
    need(DeviceEnum(kind))
    (route,) = routes_of(DeviceEnum(kind))
    assert not faults(replace(route, options={"cpu": cpu}, cpu="max"), SLICES["halves"])


def test_the_slice_is_as_large_as_it_says() -> None:
    cases = [case.id for group in SLICES.values() for case in group]
    assert len(set(cases)) == len(cases) >= 100
