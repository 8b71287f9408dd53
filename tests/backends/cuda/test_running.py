"""Whole models for NVIDIA, alone and with X64, run by the simulator: no GPU is here."""

from __future__ import annotations

from pathlib import Path

import pytest

import optima
import optima.runtime as rt
from optima.backends.cuda.load import present
from tests.backends.cuda.harness import DEVICE, needs_simulator
from tests.backends.small_models import MODELS, Compiled


@needs_simulator
@pytest.mark.parametrize("by_turns", [False, True], ids=["one", "by turns"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_equals_eager(name: str, by_turns: bool, tmp_path: Path) -> None:
    model = Compiled(name, DEVICE.kind, tmp_path, by_turns=by_turns)
    assert {".cubin", ".ptx", ".cu"} <= {path.suffix for path in model.path.rglob("*")}
    if present(DEVICE):
        pytest.skip("a GPU is here: nothing is simulated")
    with pytest.raises(optima.DeviceAbsent):
        rt.Context().load_model(model.path)
    info = rt.Context().load_model(model.path, fallback=True).subgraph_info
    assert all("CUDA C++ compiled by" in part.runs_on for part in info if part.simulated)
    assert any(part.simulated for part in info)
    assert model.error() <= 1e-3
