"""Real architectures over four kinds of device at once: one compile, one folder, outputs beside eager."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conformance.device_routes import why_no_route
from devices import DeviceEnum
from examples.many_devices import compile_and_compare

#: all four models with `make test-devices`, the smallest otherwise
MODELS = ("encoder", "face_detector", "mobilenet_v2", "resnet18")[: 4 if os.environ.get("OPTIMA_TEST_DEVICES") else 1]
#: kinds of which some compute in integers
QUANTISED = (("ADRENO", "MYRIAD", "HEXAGON", "X64"), ("MALI", "TPU", "CV22", "X64"))
IN_FLOAT32 = ("ADRENO", "MYRIAD", "X64", "NVIDIA")


def need(*kinds: str) -> None:
    """Skip, saying what is missing, unless all of them can be compiled and run or simulated here."""
    lacking = [reason for kind in dict.fromkeys(kinds) if (reason := why_no_route(DeviceEnum(kind)))]
    if lacking:
        pytest.skip("; ".join(lacking))


@pytest.mark.parametrize("kinds", QUANTISED, ids="-".join)
@pytest.mark.parametrize("key", MODELS)
def test_four_kinds_some_of_them_quantised(key: str, kinds: tuple[str, ...], tmp_path: Path) -> None:
    need(*kinds)
    result = compile_and_compare(key, kinds, tmp_path)
    assert {device for device, _ in result.placed} >= {f"{kind}:0" for kind in kinds}
    assert result.sqnr_db >= 20.0
    suffixes = {path.suffix for path in result.compiled.path.rglob("*")}
    assert {".spv", ".so", ".onnx" if "MYRIAD" in kinds else ".tflite"} <= suffixes


@pytest.mark.parametrize("key", MODELS)
def test_kinds_that_compute_in_float32(key: str, tmp_path: Path) -> None:
    need(*IN_FLOAT32)
    result = compile_and_compare(key, IN_FLOAT32, tmp_path)
    assert result.error <= 1e-3
