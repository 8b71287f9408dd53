"""Folders that were put together of two models, hashes mended: each is refused at load, and says what differs."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum, DeviceRef
from optima.backends.base import LoadEnv
from optima.backends.gpu_route.meta import GpuSubgraph, own_problems
from optima.backends.kernel_route.checking import read_plan
from optima.backends.model_ports import BadBundle
from optima.graph import Graph, TensorType
from optima.manager import Manager
from tests.backends.mixed import meta_bytes, rewrite
from tests.backends.one_subgraph import artifact_of, view_of
from torch2nx.converter import Torch2GraphConverter

#: kind -> (what compiles and simulates it, the files of its model)
KINDS = {
    "MYRIAD": ("openvino", ("{}.cpu.blob", "{}.onnx")),
    "TPU": ("ai_edge_quantizer", ("{}.tflite",)),
    "HEXAGON": ("onnxruntime", ("{}.qdq.onnx",)),
    "CV22": ("onnxruntime", ("{}.qdq.onnx",)),
}


class Line(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.line(x))


def compiled(folder: Path, kind: str, width: int = 6) -> Path:
    folder.mkdir()
    samples = [(torch.randn(2, width),) for _ in range(3)]
    graph = Torch2GraphConverter().convert(model=Line(width), fake_torch_data=list(samples[0]), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (folder / "map.json").write_text(json.dumps(dict.fromkeys(names, f"{kind}:0")))
    given: Any = {"HEXAGON": {"toolchain": "none"}} if kind == "HEXAGON" else {}
    made = Manager().optimize(
        "Line", [DeviceEnum(kind)], graph, folder / "out", folder / "map.json", device_options=given,
        progress=False, sample_inputs=samples, cpu_fallback=False,
    )  # fmt: skip
    return made.path


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = request.param
    pytest.importorskip(KINDS[found][0], reason=f"what simulates {found} is not installed")
    pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
    for name in ("OPTIMA_MYRIAD_PYTHON", "OPTIMA_EDGETPU_COMPILER", "OPTIMA_CV22_COMPILE_CMD"):
        monkeypatch.delenv(name, raising=False)
    return found


def refused(model: Path) -> BadBundle:
    with pytest.raises(BadBundle, match="subgraph_0") as error:
        rt.Context().load_model(model, fallback=True)
    return error.value


def test_another_models_file(tmp_path: Path, kind: str) -> None:
    model, other = compiled(tmp_path / "a", kind), compiled(tmp_path / "b", kind, width=5)
    paths = [f"Subgraph_0/{name.format('subgraph_0')}" for name in KINDS[kind][1]]
    rewrite(model, {path: (other / path).read_bytes() for path in paths})
    said = str(refused(model))
    assert "float32[2, 6]" in said and "float32[2, 5]" in said


@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_qnn") is None, reason="the extra optima[hexagon] is not installed"
)
def test_another_models_file_on_the_emulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "htp")
    test_another_models_file(tmp_path, "HEXAGON")


def test_bytes_that_are_no_model(tmp_path: Path, kind: str) -> None:
    model = compiled(tmp_path / "a", kind)
    rewrite(model, {f"Subgraph_0/{name.format('subgraph_0')}": b"\x08\x07none" for name in KINDS[kind][1]})
    with pytest.raises(optima.UserError, match="subgraph_0"):
        rt.Context().load_model(model, fallback=True)


MISTAKES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "inputs for outputs": lambda meta: {"inputs": meta["outputs"], "outputs": meta["inputs"]},
    "no inputs": lambda meta: {"inputs": []},
    "another version": lambda meta: {"format_version": 2},
    "inputs of another kind": lambda meta: {"inputs": 3},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_meta_that_contradicts_the_model(tmp_path: Path, kind: str, mistake: str) -> None:
    model = compiled(tmp_path / "a", kind)
    meta = json.loads((model / "Subgraph_0/subgraph_0.meta").read_text())
    rewrite(model, {"Subgraph_0/subgraph_0.meta": meta_bytes(model, **MISTAKES[mistake](meta))})
    refused(model)


@pytest.mark.parametrize("backend", ["snpe", "vendor_bundle", "edgetpu", "openvino"])
def test_the_meta_of_another_backend(tmp_path: Path, kind: str, backend: str) -> None:
    """``model.meta`` names a backend that did not make the subgraph."""
    own = {"MYRIAD": "openvino", "TPU": "edgetpu", "HEXAGON": "snpe", "CV22": "vendor_bundle"}[kind]
    if backend == own or (own, backend) == ("snpe", "vendor_bundle"):  # the latter runs the same QDQ model
        return
    model = compiled(tmp_path / "a", kind)
    rewrite(model, {}, backend=backend)
    refused(model)


ADD = "graph g(%x: f32[40], %z: f32[40]) -> (%y)\n  %y = add_0: add(%x, %z) : f32[40]\n"


def test_kernels_with_other_borders() -> None:
    graph = Graph.parse(ADD)
    view = view_of(graph, artifact_of(graph, "llvm", DeviceRef.parse("X64:0")))
    from optima.backends.llvm.load import load

    env = LoadEnv(1, False, logging.getLogger("tests"))
    load(view, DeviceRef.parse("X64:0"), env)
    with pytest.raises(optima.BadSubgraph, match="model.meta says"):
        load(replace(view, inputs=("x", "y")), DeviceRef.parse("X64:0"), env)
    with pytest.raises(optima.BadSubgraph, match="another type in model.meta"):
        types = {**view.types, "x": TensorType((41,), "float32")}
        load(replace(view, types=types), DeviceRef.parse("X64:0"), env)


def gpu_meta() -> dict[str, Any]:
    """A subgraph of a GPU that copies nothing and launches nothing."""
    buffers = [{"name": n, "shape": [40], "dtype": "float32", "kind": "border"} for n in "xzy"]
    return {
        "format_version": 1, "name": "g", "inputs": ["x", "z"], "outputs": ["y"], "buffers": buffers,
        "constants": [], "kernels": [], "calls": [], "arena_bytes": 0,
    }  # fmt: skip


def test_a_gpus_kernels_with_other_borders() -> None:
    graph = Graph.parse(ADD)
    view = replace(view_of(graph, artifact_of(graph, "llvm", DeviceRef.parse("X64:0"))), meta=gpu_meta())
    read_plan(GpuSubgraph, view, 1, own_problems)
    with pytest.raises(optima.BadSubgraph, match="model.meta says x, z"):
        read_plan(
            GpuSubgraph, replace(view, meta={**gpu_meta(), "inputs": ["y"], "outputs": ["x", "z"]}), 1, own_problems
        )
    with pytest.raises(optima.BadSubgraph, match="another type in model.meta"):
        read_plan(GpuSubgraph, replace(view, types={**view.types, "y": TensorType((40,), "int32")}), 1, own_problems)
