"""Resolving a CPU, and the feature names that the runtime compares without TVM."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from devices.cpu_features import host_features, known_features, process_machine
from optima.kernels.target import CpuTarget, UnknownCpu, resolve
from optima.native.cpu_features import missing


def test_this_machine_by_name_and_by_its_features() -> None:
    target = resolve()
    assert target.cpu not in ("", "native")
    assert target.features == tuple(sorted(host_features()))
    assert missing(target.features) == []
    assert target.lanes * 32 == target.vector_bits


@pytest.mark.parametrize(
    ("cpu", "bits", "registers"), [("x86-64-v2", 128, 16), ("x86-64-v3", 256, 16), ("x86-64-v4", 512, 32)]
)
def test_named_levels(cpu: str, bits: int, registers: int) -> None:
    target = resolve(cpu, triple="x86_64-linux-gnu")
    assert (target.vector_bits, target.vector_registers) == (bits, registers)
    assert set(target.features) <= set(known_features("x86_64"))


def test_tuning_flags_are_no_features() -> None:
    for feature in resolve("rocketlake", triple="x86_64-linux-gnu").features:
        assert not feature.startswith(("prefer-", "slow-", "fast-", "tuning-"))


def test_round_trip_through_json() -> None:
    target = resolve("x86-64-v3", triple="x86_64-linux-gnu", threads=3)
    assert CpuTarget.from_dict(json.loads(json.dumps(target.to_dict()))) == target


def test_masked_features_are_switched_off_explicitly() -> None:
    target = resolve("x86-64-v3", triple="x86_64-linux-gnu")
    text = str(target.tvm_target())
    assert "+avx2" in text and "-avx512f" in text and "-prefer-256-bit" in text


def test_an_unknown_cpu_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownCpu) as error:
        resolve("x86-64-v33", triple="x86_64-linux-gnu")
    assert "x86-64-v3" in error.value.hint


def test_features_of_a_given_cpuinfo(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "cpuinfo"
    file.write_text("processor : 0\nflags : fpu pni sse4_1 avx2 abm\n")
    if "sse3" in known_features():
        assert host_features(str(file)) == {"sse3", "sse4.1", "avx2", "lzcnt"}
    assert host_features(str(file) + ".absent") == frozenset()


@pytest.mark.parametrize(
    ("kernel", "wide", "narrow"),
    [
        ("x86_64", "x86_64", "i686"),
        ("AMD64", "amd64", "i686"),
        ("aarch64", "aarch64", "armv7l"),
        ("armv7l", "", "armv7l"),
    ],
)
def test_a_narrow_process_on_a_wide_kernel(
    kernel: str, wide: str, narrow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: kernel)
    if wide:
        assert process_machine() == wide
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    assert process_machine() == narrow
    assert "neon" in known_features("armv7l") and "neon" in known_features("armv7a")


def test_what_is_lacking_is_named() -> None:
    assert missing(["no-such-feature", *sorted(host_features())]) == ["no-such-feature"]


def test_asking_needs_no_tvm() -> None:
    code = (
        "import sys; sys.modules['tvm'] = sys.modules['torch'] = None\n"
        "from optima.native.cpu_features import missing; missing(['avx2'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
