"""A fixed slice of the operator cases on each kind that can execute here; ``python -m conformance.devices`` has all."""

from __future__ import annotations

import os

import pytest

from conformance.device_case import CRASHED, PROVEN, WRONG, judge
from conformance.device_column import COLUMNS, Column
from conformance.devices import cases
from devices import DeviceEnum
from tests.ops.case import OpCase

#: every so many-th operator; `make test-devices` takes more of them
_STEP = 3 if os.environ.get("OPTIMA_TEST_DEVICES") else 12


def _slice(kind: DeviceEnum) -> list[OpCase]:
    """The first case of every so many-th operator; fewer of X64, which tests/ops compiles whole."""
    table: dict[str, list[OpCase]] = {}
    for case in cases():
        table.setdefault(case.op, []).append(case)
    step = _STEP * 5 if kind is DeviceEnum.DEVICE_KIND_X64 else _STEP
    return [found[0] for _, found in sorted(table.items())[::step]]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.title)
def test_a_slice_of_the_cases_equals_torch(column: Column, monkeypatch: pytest.MonkeyPatch) -> None:
    # The emulation of HEXAGON takes seconds to start; its own tests use it.
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "onnxruntime")
    if lacking := column.why_not():
        pytest.skip(f"{column.title}: {lacking}")
    outcomes = [judge(column, case) for case in _slice(column.kind)]
    assert not [o for o in outcomes if o.status in (WRONG, CRASHED)]
    assert any(o.status == PROVEN for o in outcomes)
