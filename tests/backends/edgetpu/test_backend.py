"""The whole way: map, quantise, package, load with a fallback, and compare with eager."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import optima
import optima.runtime as rt
from optima.calibration import CalibrationError
from optima.manager import check
from optima.quantise import sqnr_db
from optima.tools import ToolMissing
from tests.backends.edgetpu.models import KINDS, MobileStack, SmallCnn, compiled, samples, seeded, traced

pytest.importorskip("ai_edge_quantizer", reason="the extra optima[tpu] is not installed")

FRESH = samples(8, seed=1)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTIMA_EDGETPU_COMPILER", raising=False)


@pytest.fixture(scope="module", params=[SmallCnn, MobileStack], ids=lambda m: m.__name__)
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Any, Path]:
    module = seeded(request.param())
    graph = traced(module)
    folder = tmp_path_factory.mktemp("tpu")
    path = compiled(graph, folder, ["linear", "flatten"], sample_inputs=samples(8)).path
    return module, graph, path


def leaves(result: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(r) for r in (result if isinstance(result, tuple | list) else [result])]


def test_it_is_near_to_eager_on_samples_that_it_has_not_seen(made: tuple[nn.Module, Any, Path]) -> None:
    module, _, path = made
    model = rt.Context().load_model(path, fallback=True)
    with torch.no_grad():
        wanted = [leaves(module(*sample)) for sample in FRESH]
    found = [leaves(model(*(x.numpy() for x in sample))) for sample in FRESH]
    ratios = [sqnr_db(np.stack([w[k] for w in wanted]), np.stack([f[k] for f in found])) for k in range(len(wanted[0]))]
    assert min(ratios) >= 20, ratios
    assert [(s.backend, s.simulated) for s in model.subgraph_info][0] == ("edgetpu", True)


def test_the_meta_says_what_it_is(made: tuple[nn.Module, Any, Path]) -> None:
    _, _, path = made
    meta = json.loads((path / "Subgraph_0/subgraph_0.meta").read_text())
    assert (path / "Subgraph_0" / meta["artifact"]).read_bytes()[4:8] == b"TFL3"
    assert meta["format"] == "tflite-int8"
    assert (meta["compiled_for_device"], meta["status"]) == (False, "needs_edgetpu_compiler")
    assert meta["next_command"] == "edgetpu_compiler --show_operations --out_dir . subgraph_0.tflite"
    assert meta["quantisation"]["n_samples"] == 8
    assert min(meta["quantisation"]["sqnr_db"].values()) >= 20
    assert meta["host_operators"] == {}
    assert meta["inputs"][0]["shape"] == [1, 3, 32, 32]
    assert set(meta["producer"]) == {"tflite", "ai-edge-litert", "ai-edge-quantizer"}
    assert not list(path.rglob("*_edgetpu.tflite"))


def test_equal_compiles_give_equal_bytes(made: tuple[nn.Module, Any, Path], tmp_path: Path) -> None:
    _, graph, path = made
    again = compiled(graph, tmp_path, ["linear", "flatten"], sample_inputs=samples(8), use_cache=False).path
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "report.json"):
        assert file.read_bytes() == (again / file.relative_to(path)).read_bytes(), file.name


def test_requests_run_at_the_same_time(made: tuple[nn.Module, Any, Path]) -> None:
    _, _, path = made
    model = rt.Context().load_model(path, fallback=True)
    alone = [leaves(model(*(x.numpy() for x in sample))) for sample in FRESH]
    requests = []
    for sample in FRESH:
        request = model.create_request()
        request.set_inputs([x.numpy() for x in sample])
        request.infer()
        requests.append(request)
    for request, wanted in zip(requests, alone, strict=True):
        request.wait()
        for w, f in zip(wanted, request.get_outputs(), strict=True):
            np.testing.assert_array_equal(w, f)


def test_without_the_device_and_without_fallback_it_is_refused(made: tuple[nn.Module, Any, Path]) -> None:
    with pytest.raises(optima.OptimaError, match="devices that are not here"):
        rt.Context().load_model(made[2])


def test_no_samples_are_refused(made: tuple[nn.Module, Any, Path], tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="subgraph_0 is quantised"):
        compiled(made[1], tmp_path)


def test_nan_samples_are_refused(made: tuple[nn.Module, Any, Path], tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="finite"):
        compiled(made[1], tmp_path, sample_inputs=[(torch.full((1, 3, 32, 32), float("nan")),)])


def test_strict_targets_need_the_compiler(
    made: tuple[nn.Module, Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="edgetpu_compiler"):
        compiled(made[1], tmp_path, sample_inputs=samples(1), strict_targets=True)


def test_a_variable_that_names_nothing_is_refused(
    made: tuple[nn.Module, Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIMA_EDGETPU_COMPILER", str(tmp_path / "nothing"))
    with pytest.raises(ToolMissing, match="OPTIMA_EDGETPU_COMPILER"):
        compiled(made[1], tmp_path, sample_inputs=samples(1))


def test_a_loss_beyond_the_limit_is_refused(made: tuple[nn.Module, Any, Path], tmp_path: Path) -> None:
    with pytest.raises(optima.UserError, match="QuantisationError.*keep less than 90"):
        compiled(made[1], tmp_path, sample_inputs=samples(2), device_options={"TPU": {"min_sqnr_db": 90}})


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        return torch.exp(self.table(index))


def test_what_cannot_run_is_refused_before_the_first_compile(tmp_path: Path) -> None:
    from torch2nx.converter import Torch2GraphConverter

    sample = torch.tensor([[1, 2]])
    graph = Torch2GraphConverter().convert(model=Lookup().eval(), fake_torch_data=[sample], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (tmp_path / "map.json").write_text(json.dumps(dict.fromkeys(names, "TPU:0")))
    with pytest.raises(optima.OptimaError) as refused:
        check(KINDS, graph, tmp_path / "map.json")
    assert "int64 is not a dtype of TPU" in str(refused.value)
    assert "exp has no TFLite emission" in str(refused.value)


def test_dumps_show_each_step(made: tuple[nn.Module, Any, Path], tmp_path: Path) -> None:
    compiled(made[1], tmp_path, ["linear", "flatten"], sample_inputs=samples(1), dump_dir=tmp_path / "dump")
    names = sorted(p.name for p in (tmp_path / "dump/subgraph_0").iterdir())
    assert names[0] == "00_traced.txt" and names[-1] == "04_tflite.txt"
    emitted = (tmp_path / "dump/subgraph_0/04_tflite.txt").read_text()
    assert "CONV_2D" in emitted and " RELU" in emitted
