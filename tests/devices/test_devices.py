"""Kinds, references and specifications; the roots of all errors."""

from __future__ import annotations

import doctest
import importlib
import pickle

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from devices import (
    DeviceEnum,
    DeviceRef,
    Family,
    InternalError,
    MalformedDevice,
    OptimaError,
    Problem,
    UserError,
    spec_of,
)

KINDS = (
    "X86", "X64", "ARM", "ARM64", "NVIDIA", "AMDGPU", "INTELGPU", "MALI", "ADRENO", "HEXAGON", "MYRIAD",
    "ARA1", "TPU", "CV22",
)  # fmt: skip


@pytest.mark.parametrize("module", ["errors", "kind", "ref", "spec", "catalog"])
def test_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"devices.{module}")).failed == 0


def test_the_fourteen_kinds_of_the_map() -> None:
    assert tuple(kind.value for kind in DeviceEnum) == KINDS
    assert [kind.name for kind in DeviceEnum] == [f"DEVICE_KIND_{kind}" for kind in KINDS]


def test_families() -> None:
    families = {family: [k.value for k in DeviceEnum if k.family is family] for family in Family}
    assert families[Family.CPU] == ["X86", "X64", "ARM", "ARM64"]
    assert families[Family.GPU] == ["NVIDIA", "AMDGPU", "INTELGPU", "MALI", "ADRENO"]
    assert families[Family.NPU] == ["HEXAGON", "MYRIAD", "ARA1", "TPU", "CV22"]


@pytest.mark.parametrize("kind", DeviceEnum, ids=lambda kind: kind.value)
def test_specs(kind: DeviceEnum) -> None:
    spec = spec_of(kind)
    assert spec.kind is kind and spec.family is kind.family
    assert spec.triple and spec.dtypes
    assert spec.backend
    assert spec.link.source


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", [0, 1, 10, 999999])
def test_references_round_trip(kind: str, index: int) -> None:
    ref = DeviceRef.parse(f"{kind}:{index}")
    assert str(ref) == f"{kind}:{index}" and ref == DeviceRef(DeviceEnum(kind), index)


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("X64", "the index is missing", 'did you mean "X64:0"?'),
        ("X64:", "'' is not an index", 'did you mean "X64:0"?'),
        ("X64:0:1", "'0:1' is not an index", "X64:0"),
        ("X64: 0", "is not an index", 'did you mean "X64:0"?'),
        ("X64:0\n", "is not an index", 'did you mean "X64:0"?'),
        ("X64:\u0661", "is not an index", "X64:0"),
        ("X64:1000000", "is not an index", "X64"),
        ("x64:0", "there is no kind 'x64'", 'did you mean "X64:0"?'),
        ("ADREN0:1", "there is no kind 'ADREN0'", 'did you mean "ADRENO:1"?'),
        ("DEVICE_KIND_TPU:0", "there is no kind", 'did you mean "TPU:0"?'),
        ("banana:0", "there is no kind 'banana'", "the kinds are X86, X64"),
        ("", "there is no kind ''", "the kinds are"),
        (0, "a device is text", "KIND:index"),
        (None, "a device is text", "KIND:index"),
        (DeviceEnum.DEVICE_KIND_X64, "a device is text", "KIND:index"),
    ],
)
def test_malformed(text: object, reason: str, hint: str) -> None:
    with pytest.raises(MalformedDevice, match="is not a device") as caught:
        DeviceRef.parse(text)
    assert reason in caught.value.message and hint in caught.value.hint


def test_a_long_text_is_not_repeated_whole() -> None:
    for text in ("X" * 10_000, "X64:" + "9" * 10_000):
        with pytest.raises(MalformedDevice) as caught:
            DeviceRef.parse(text)
        assert len(str(caught.value)) < 400


@seed(1)
@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=12) | st.from_regex(r"[A-Z0-9]{1,8}:[0-9 ]{0,8}", fullmatch=True))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        assert str(DeviceRef.parse(text)) == text
    except MalformedDevice as error:
        near = DeviceRef.nearest(text)
        assert error.hint and (near is None or DeviceRef.parse(str(near)) == near)


@pytest.mark.parametrize("cls", [OptimaError, UserError, InternalError, MalformedDevice])
def test_errors_travel_between_processes(cls: type[OptimaError]) -> None:
    error = cls("two faults", problems=[Problem("a", "bad", "m.py:1", "x = 1"), Problem("bb", "worse")], hint="edit a")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is cls and str(copy) == str(error) and copy.problems == error.problems
    assert str(error).splitlines() == [
        "two faults", "  a    m.py:1   bad", "      x = 1", "  bb            worse", "hint: edit a",
    ]  # fmt: skip


def test_an_internal_error_asks_for_a_report() -> None:
    assert "report" in InternalError("impossible").hint
    assert "hint" not in str(OptimaError("plain"))
