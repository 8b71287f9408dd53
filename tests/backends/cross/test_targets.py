"""What each CPU kind is compiled for, and what device options may say about it."""

from __future__ import annotations

from typing import Any

import pytest

from devices import DeviceEnum, spec_of
from optima.backends.device_options import DeviceOptionError
from optima.kernels import cpu_kinds
from optima.kernels.cpu_kinds import BASELINES, THREADS, target_of
from optima.kernels.target import UnknownCpu, model_features, resolve

X64, X86 = DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_X86
ARM, ARM64 = DeviceEnum.DEVICE_KIND_ARM, DeviceEnum.DEVICE_KIND_ARM64


@pytest.mark.parametrize("kind", BASELINES, ids=lambda k: k.value)
def test_a_baseline_is_stated_as_llvm_has_it(kind: DeviceEnum) -> None:
    baseline = BASELINES[kind]
    assert baseline.features == model_features(baseline.triple, baseline.cpu)
    assert set(baseline.needed) <= set(baseline.features)
    assert spec_of(kind).triple == baseline.triple


@pytest.mark.parametrize(
    ("kind", "registers"), [(X86, 8), (ARM, 16), (ARM64, 32)], ids=lambda v: getattr(v, "value", v)
)
def test_without_options_it_is_the_baseline(kind: DeviceEnum, registers: int) -> None:
    target = target_of(kind, "x86-64-v3", {})
    baseline = BASELINES[kind]
    assert (target.triple, target.cpu, target.features) == (baseline.triple, baseline.cpu, baseline.features)
    assert (target.vector_bits, target.vector_registers, target.threads) == (128, registers, THREADS)


def test_x64_is_this_machine_here_and_a_baseline_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    if cpu_kinds.is_native("x86_64"):
        assert target_of(X64, "", {}) == resolve()
        assert target_of(X64, "x86-64-v2", {}) == resolve("x86-64-v2")
    monkeypatch.setattr(cpu_kinds, "process_machine", lambda: "aarch64")
    assert target_of(X64, "", {}).cpu == "x86-64-v3"
    assert target_of(X64, "x86-64-v2", {}).features == model_features("x86_64-linux-gnu", "x86-64-v2")
    with pytest.raises(UnknownCpu, match="x86-64-v22"):
        target_of(X64, "x86-64-v22", {})


def test_options_choose_the_cpu_features_and_threads() -> None:
    target = target_of(ARM64, "", {"cpu": "cortex-a72", "features": "+dotprod", "threads": 2})
    assert (target.cpu, target.threads) == ("cortex-a72", 2)
    assert set(target.features) == {"aes", "crc", "dotprod", "fp-armv8", "neon", "sha2"}
    assert target_of(ARM64, "", {"cpu": "cortex-a72", "features": ["+dotprod"], "threads": 2}) == target


def test_what_a_feature_brings_with_it_is_recorded() -> None:
    assert {"sve", "sve2", "fullfp16"} <= set(target_of(ARM64, "", {"features": "+sve2"}).features)
    assert target_of(X86, "", {"cpu": "haswell"}).vector_bits == 256
    assert target_of(X86, "", {"cpu": "haswell", "features": "-avx2"}).vector_bits == 128


def test_hard_floats_are_asked_for() -> None:
    assert "hard" in str(target_of(ARM, "", {}).tvm_target())


def test_everything_wrong_comes_in_one_error() -> None:
    options = {"cpu": "cortex-a720000", "featres": 1, "features": "+dotprd, aes", "threads": 0}
    with pytest.raises(DeviceOptionError) as error:
        target_of(ARM64, "", options)
    assert [p.subject for p in error.value.problems] == ["featres", "cpu", "features", "features", "threads"]
    assert "'cortex-a72'" in str(error.value) and "dotprod" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        (ARM64, {"features": "-neon"}, "without neon"),
        (ARM, {"cpu": "cortex-m4"}, "without neon"),
        (X86, {"cpu": "i686"}, "without sse2"),
        (ARM64, {"features": ["+sve2", "-sve"]}, r"\+sve2 is undone"),
        (ARM64, {"features": 7}, "give text"),
        (ARM64, {"features": [7]}, "give text"),
        (ARM64, {"cpu": None}, "give an LLVM CPU name"),
        (ARM64, {"cpu": "native"}, "no aarch64 CPU"),
        (ARM64, {"threads": True}, "number of cores"),
        (X64, {"cpu": "x86-64-v2"}, "give one of them"),
    ],
)
def test_what_does_not_fit_is_refused(kind: DeviceEnum, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeviceOptionError, match=reason) as error:
        target_of(kind, "x86-64-v3", options)
    assert error.value.hint
