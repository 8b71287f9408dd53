"""Kernels for ARM64, ARM and X86 give torch's answers, called from C under emulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.cross.batch import faults
from tests.backends.cross.machine import MACHINES, need
from tests.backends.cross.slices import SLICES


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("group", SLICES)
def test_the_answers_are_torchs(group: str, machine: str, tmp_path: Path) -> None:
    need(machine)
    found = faults(machine, SLICES[group], tmp_path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("machine", "cpu"),
    [("ARM", "cortex-a8"), ("ARM", "cortex-a53"), ("ARM64", "neoverse-v1"), ("X86", "haswell")],
)
def test_other_models_of_a_kind(machine: str, cpu: str, tmp_path: Path) -> None:
    """Half floats, which these convert each in another way: by a function, by FP16, by SVE's neighbours, by F16C."""
    need(machine)
    found = faults(machine, SLICES["halves"], tmp_path, {"cpu": cpu}, emulated="max")
    assert not found, "\n".join(found)


def test_the_slice_is_as_large_as_it_says() -> None:
    cases = [case.id for group in SLICES.values() for case in group]
    assert len(set(cases)) == len(cases) >= 100
