"""Which file runs where: the device, the simulation, and what is missing for either."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices import DeviceEnum, DeviceRef, InternalError, UserError
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.edgetpu import load as loading
from optima.backends.edgetpu.hardware import edge_tpus
from optima.backends.edgetpu.load import NotCompiledForTpu, load, present
from optima.backends.edgetpu.runner import LitertMissing, Runner
from optima.backends.model_ports import BadBundle, Port
from optima.graph import TensorType

TPU = DeviceRef(DeviceEnum.DEVICE_KIND_TPU, 1)
BOTH = {"part.tflite": b"int8", "part_edgetpu.tflite": b"compiled"}

needs_litert = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="ai-edge-litert is not installed"
)


X, Y = TensorType((1, 3), "float32"), TensorType((1, 2), "float32")


def meta_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    is_compiled = "part_edgetpu.tflite" in files
    return {
        "format": "tflite-int8",
        "format_version": 1,
        "artifact": "part_edgetpu.tflite" if is_compiled else "part.tflite",
        "int8_model": "part.tflite",
        "compiled_for_device": is_compiled,
        "next_command": "" if is_compiled else "edgetpu_compiler part.tflite",
        "inputs": [{"name": "x", "shape": [1, 3], "dtype": "float32"}],
        "outputs": [{"name": "y", "shape": [1, 2], "dtype": "float32"}],
    }


def view(files: Mapping[str, bytes], **changes: Any) -> SubgraphView:
    return SubgraphView("part", {**meta_of(files), **changes}, files, {}, ["x"], ["y"], {"x": X, "y": Y})


def env(*, is_present: bool, fallback: bool) -> LoadEnv:
    return LoadEnv(2, fallback, logging.getLogger("test"), is_present)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What interpreters are made with."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(loading, "Runner", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(loading, "litert", lambda: None)
    monkeypatch.setattr(loading, "ports_of", lambda model: ([Port("", X)], [Port("", Y)]))
    return calls


def test_the_device_runs_the_compiled_file(bound: list[tuple[Any, ...]]) -> None:
    load(view(BOTH), TPU, env(is_present=True, fallback=False)).bind({})
    assert bound == [(b"compiled", 2, ("libedgetpu.so.1", {"device": ":1"}))]


@pytest.mark.parametrize("files", [BOTH, {"part.tflite": b"int8"}])
def test_the_simulation_runs_the_int8_file(bound: list[tuple[Any, ...]], files: Mapping[str, bytes]) -> None:
    load(view(files), TPU, env(is_present=False, fallback=True)).bind({})
    assert bound == [(b"int8", 2, None)]


def test_a_device_without_its_file_needs_leave_to_simulate(bound: list[tuple[Any, ...]]) -> None:
    with pytest.raises(NotCompiledForTpu) as refused:
        load(view({"part.tflite": b"int8"}), TPU, env(is_present=True, fallback=False))
    assert "edgetpu_compiler part.tflite" in refused.value.hint
    load(view({"part.tflite": b"int8"}), TPU, env(is_present=True, fallback=True)).bind({})
    assert bound == [(b"int8", 2, None)]


def test_a_folder_without_its_files_is_refused(bound: list[tuple[Any, ...]]) -> None:
    with pytest.raises(UserError, match=r"part has no part\.tflite"):
        load(view({}), TPU, env(is_present=False, fallback=True))


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {**meta_of(BOTH), "format": "dlc"},
        {**meta_of(BOTH), "inputs": meta_of(BOTH)["outputs"]},
        {**meta_of(BOTH), "int8_model": 3},
    ],
    ids=["empty", "another format", "other inputs", "no name"],
)
def test_a_meta_that_is_not_its_own_is_refused(bound: list[tuple[Any, ...]], meta: dict[str, Any]) -> None:
    with pytest.raises(BadBundle, match="part"):
        load(replace(view(BOTH), meta=meta), TPU, env(is_present=False, fallback=True))


@needs_litert
@pytest.mark.parametrize("is_present", [True, False])
def test_bytes_that_are_no_model_are_refused_at_load(is_present: bool) -> None:
    with pytest.raises(BadBundle, match="LiteRT refuses"):
        load(view(BOTH), TPU, env(is_present=is_present, fallback=True))


def test_a_missing_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(LitertMissing, match="ai-edge-litert"):
        load(view(BOTH), TPU, env(is_present=False, fallback=True))


@needs_litert
@pytest.mark.parametrize("model", [b"", b"garbage", b"\0\0\0\0TFL3" + bytes(64)])
def test_a_model_that_litert_refuses_is_an_error(model: bytes) -> None:
    with pytest.raises(InternalError, match="LiteRT refuses"):
        Runner(model)


@needs_litert
# LiteRT's own __del__ fails after its constructor has.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_delegate_that_is_not_here_is_an_error() -> None:
    with pytest.raises(InternalError, match="LiteRT refuses"):
        Runner(b"", 1, ("libedgetpu-that-is-not-here.so", {"device": ":0"}))


def test_devices_are_counted_on_both_buses(tmp_path: Path) -> None:
    assert edge_tpus(tmp_path) == 0
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    for name, ids in {
        "1-1": ("1a6e", "089a"),
        "1-2": ("18D1", "9302"),
        "1-3": ("18d1", "4ee7"),
        "1-0:1.0": None,
    }.items():
        folder = tmp_path / "sys/bus/usb/devices" / name
        folder.mkdir(parents=True)
        if ids:
            for key, value in zip(("idVendor", "idProduct"), ids, strict=True):
                (folder / key).write_text(value + "\n")
    assert edge_tpus(tmp_path) == 3


def test_present_means_device_and_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "edge_tpus", lambda: 2)
    monkeypatch.setattr(loading, "has_runtime", lambda: False)
    assert not present(TPU)
    monkeypatch.setattr(loading, "has_runtime", lambda: True)
    assert present(TPU)
    assert not present(DeviceRef(DeviceEnum.DEVICE_KIND_TPU, 2))
    assert not present(DeviceRef(DeviceEnum.DEVICE_KIND_X64, 0))
