"""Real architectures over four kinds of device at once: one compile, one folder, outputs beside eager."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devices import DeviceEnum
from examples.many_devices import compile_and_compare
from optima.installed import toolchains

#: all four models with `make test-devices`, the two small ones otherwise
MODELS = ("encoder", "face_detector", "mobilenet_v2", "resnet18")[: 4 if os.environ.get("OPTIMA_TEST_DEVICES") else 2]


def need(*kinds: str) -> None:
    """Skip, saying what is missing, unless all of them can be compiled and simulated here."""
    chains = {kind: toolchains()[DeviceEnum(kind)] for kind in kinds}
    missing = [f"{kind}: {t}" for kind, c in chains.items() for t in c.tools if not t.found and not t.optional]
    if missing or not all(c.backend for c in chains.values()):
        pytest.skip("; ".join(missing) or "a kind has no backend yet")


@pytest.mark.parametrize("key", MODELS)
def test_four_kinds_with_a_quantised_one(key: str, tmp_path: Path) -> None:
    need("MYRIAD", "HEXAGON", "CV22")
    result = compile_and_compare(key, ("MYRIAD", "HEXAGON", "CV22", "X64"), tmp_path)
    assert {device for device, _ in result.placed} >= {"MYRIAD:0", "HEXAGON:0", "CV22:0", "X64:0"}
    assert result.sqnr_db >= 20.0
    files = {path.name for path in result.compiled.path.rglob("*")}
    assert {"subgraph_0.cpu.blob", "subgraph_1.qdq.onnx"} <= files


@pytest.mark.parametrize("key", MODELS)
def test_kinds_that_compute_in_float32(key: str, tmp_path: Path) -> None:
    need("MYRIAD")
    result = compile_and_compare(key, ("X64", "MYRIAD", "X64", "MYRIAD"), tmp_path)
    assert result.error <= 1e-3
