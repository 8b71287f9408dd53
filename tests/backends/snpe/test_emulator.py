"""The emulator's process: answers, refusals, and its death, which is not the caller's."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.onnx_simulation import BadBundle
from optima.backends.snpe import emulator
from optima.backends.snpe.emulator import Emulator
from optima.backends.snpe.load import load
from optima.backends.snpe.qnn import provider_options
from optima.onnx_export import to_onnx
from optima.quantise import Scheme, prepare, quantise, sqnr_db
from optima.tools import ToolFailed, ToolMissing
from tests.backends.snpe.models import Block, graph_of, samples_of

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
needs_qnn = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_qnn") is None, reason="the extra optima[hexagon] is not installed"
)
CHIP = provider_options(57, 75)
ENV = LoadEnv(threads=1, fallback=True, log=logging.getLogger("test"), present=False)


@cache
def model() -> bytes:
    graph = graph_of(Block)
    data = {graph.inputs[0]: np.stack([x.numpy() for (x,) in samples_of(Block)])}
    return quantise(prepare(to_onnx(graph), data), data, Scheme())


def view(**changes: Any) -> SubgraphView:
    graph = graph_of(Block)
    tensors, types = {"inputs": graph.inputs, "outputs": graph.outputs}, {}
    for name in (*graph.inputs, *graph.outputs):
        types[name] = graph.type_of(name)
    meta = {
        "format_version": 1,
        "device": "HEXAGON:0",
        "model": "m.onnx",
        "soc_model": 57,
        "htp_arch": 75,
        **{
            key: [{"name": n, "shape": list(types[n].shape), "dtype": types[n].dtype} for n in names]
            for key, names in tensors.items()
        },
        **changes,
    }
    return SubgraphView("subgraph_0", meta, {"m.onnx": model()}, {}, graph.inputs, graph.outputs, types)


@needs_qnn
def test_it_agrees_with_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for choice in ("htp", "onnxruntime"):
        monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", choice)
        part = load(view(), DeviceRef.parse("HEXAGON:0"), ENV)
        results.append(part.simulation.run([samples_of(Block, 1)[0][0].numpy()])[0])
    assert sqnr_db(results[1], results[0]) > 30.0


@needs_qnn
def test_its_death_is_an_error_with_its_last_words() -> None:
    running = Emulator(model(), CHIP)
    os.kill(running._process.pid, signal.SIGKILL)
    with pytest.raises(ToolFailed, match="status -9"):
        running.run([samples_of(Block, 1)[0][0].numpy()])


@needs_qnn
def test_an_interrupted_request_leaves_no_answer_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Emulator(model(), CHIP)

    def interrupt(seconds: float | None) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(running, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            running.run([samples_of(Block, 1)[0][0].numpy()])
    with pytest.raises(ToolFailed, match="status -9"):
        running.run([samples_of(Block, 1)[0][0].numpy()])


@needs_qnn
def test_a_model_that_it_does_not_take_is_simulated_by_onnx_runtime(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OPTIMA_HEXAGON_SIMULATOR", raising=False)
    part = load(view(soc_model=57, htp_arch=1), DeviceRef.parse("HEXAGON:0"), ENV)
    assert "onnxruntime" in part.runs_on


def test_a_process_that_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "command", lambda *words: [sys.executable, "-c", "raise SystemExit('no library')"])
    with pytest.raises(ToolFailed, match="no library"):
        Emulator(b"model", CHIP)


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = view()
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ToolMissing, match="onnxruntime would simulate it") as missing:
        load(compiled, DeviceRef.parse("HEXAGON:0"), ENV)
    assert "pip install" in missing.value.hint


@pytest.mark.parametrize("changes", [{"model": "gone.onnx"}, {"format_version": 2}, {"inputs": []}])
def test_a_meta_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadBundle, match="subgraph_0"):
        load(view(**changes), DeviceRef.parse("HEXAGON:0"), ENV)


def test_a_model_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "onnxruntime")
    broken = view()
    broken.files["m.onnx"] = b"not a model"  # type: ignore[index]
    with pytest.raises(BadBundle, match="refuses its model"):
        load(broken, DeviceRef.parse("HEXAGON:0"), ENV)
