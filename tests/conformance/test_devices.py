"""The suite over kinds of device must be able to fail, and its page keeps what a sweep did not touch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import device_case, emulated
from conformance.device_case import CRASHED, NOISY, NOT_RUN, PROVEN, REFUSED, WRONG, Outcome, judge
from conformance.device_page import read, render, update
from conformance.device_routes import LAVAPIPE_FAULTS, ROUTES, Route, routes_of
from conformance.qemu import DriverDied
from devices import DeviceEnum
from tests.ops.case import Arg, OpCase

ADD = OpCase("add", (Arg("self", (3, 4)), Arg("other", (4,))), {"alpha": 1})
ODD = OpCase("relu", (Arg("self", (7,)),))
X64, ARM64 = DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_ARM64
(REFERENCE,) = routes_of(X64, "reference")
(NULL,) = routes_of(X64, "null")


def test_the_right_answer_is_proven_and_another_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(REFERENCE, ADD).status == PROVEN
    right = device_case._run
    monkeypatch.setattr(device_case, "_run", lambda *a: {n: v + 1e-3 for n, v in right(*a).items()})
    assert judge(REFERENCE, ADD).status == WRONG


def test_what_a_device_does_not_write_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from optima.backends.null.load import NullExecutable

    monkeypatch.setattr(NullExecutable, "run", lambda self: None)
    assert judge(NULL, ADD).status == WRONG


def test_nothing_runs_what_null_compiles() -> None:
    assert judge(NULL, ADD).status == NOT_RUN


def test_an_exception_is_a_crash_and_a_fault_of_the_simulator_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("fell over")

    monkeypatch.setattr(device_case, "_fault", fail)
    assert judge(REFERENCE, ADD) == Outcome(ADD.id, "add", CRASHED, "RuntimeError: fell over")
    monkeypatch.setattr(device_case, "_fault", lambda *_: "differs")
    excused = replace(REFERENCE, excuses={ADD.id: "it rounds"})
    assert (judge(excused, ADD).status, judge(excused, ADD).reason) == (NOT_RUN, "it rounds")
    assert judge(excused, ODD).status == WRONG


def test_faults_of_lavapipe_name_cases_that_there_are() -> None:
    from conformance.devices import cases

    assert set(LAVAPIPE_FAULTS) <= {case.finite().id for case in cases()}


def test_a_process_that_dies_costs_the_case_it_dies_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The driver is a stand-in: it copies torch's answer, and dies of ``relu``."""

    def driver(kind: DeviceEnum, folder: Path, cpu: str) -> list[str]:
        if "relu" in (folder / "plan.txt").read_text():
            raise DriverDied("the driver ended with -11")
        for part in folder.glob("case_*"):
            a, b = (np.frombuffer((part / f"of_{n}.in").read_bytes(), np.float32) for n in ("self", "other"))
            (part / "out_0.out").write_bytes((a.reshape(3, 4) + b).tobytes())
        return []

    compiled = device_case.compiled
    monkeypatch.setattr(emulated, "run_plan", driver)
    monkeypatch.setattr(emulated, "compiled", lambda route, case: compiled(routes_of(X64)[0], case))
    outcomes = list(emulated.judge_emulated(Route(ARM64, "llvm", ""), [ADD, ODD, ADD]))
    assert [o.status for o in outcomes] == [PROVEN, CRASHED, PROVEN]


def test_a_sweep_replaces_its_own_columns(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    update(
        REFERENCE,
        [Outcome("a", "add", PROVEN), Outcome("b", "add", NOISY, "only 9 dB"), Outcome("c", "or", PROVEN)],
        page,
    )
    update(NULL, [Outcome("a", "add", NOT_RUN)], page)
    update(routes_of(X64)[0], [Outcome("a", "add", PROVEN), Outcome("b", "or", REFUSED, "a | b")], page)
    update(
        routes_of(X64)[0],
        [Outcome("a", "add", WRONG), Outcome("b", "or", REFUSED, "a | b"), Outcome("c", "mul", PROVEN)],
        page,
    )
    ways, operators = read(page.read_text())
    assert list(ways) == ["X64", "X64 by reference", "X64 by null"]
    assert ways["X64 by null"]["not run"] == "1" and ways["X64"]["wrong"] == "1" and ways["X64"]["operators"] == "1"
    assert operators == {
        "add": {"X64": "**0/1, 1 wrong**", "X64 by reference": "1/2, 1 noisy"},
        "mul": {"X64": "1/1"},
        "or": {"X64": "– a \\| b", "X64 by reference": "1/1"},
    }
    assert render(ways, operators) == page.read_text()


def test_a_kind_is_swept_as_the_one_that_stands_for_it() -> None:
    shader, _ = routes_of(DeviceEnum.DEVICE_KIND_INTELGPU)
    assert routes_of(DeviceEnum.DEVICE_KIND_MALI) == (shader,) and shader.excuses == LAVAPIPE_FAULTS
    assert len({route.title for route in ROUTES}) == len(ROUTES)
