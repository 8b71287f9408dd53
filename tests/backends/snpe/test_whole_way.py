"""From a module to a folder with a ``.dlc``, and back to its answers; and everything that is refused on the way."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum
from optima.calibration import CalibrationError
from optima.jobs import KernelCompileError
from optima.quantise import sqnr_db
from optima.tools import ToolMissing
from tests.backends.snpe.fake_sdk import make_sdk
from tests.backends.snpe.models import Block, Cnn, compiled, module_of, op_names, samples_of, traced

pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
HAS_QNN = importlib.util.find_spec("onnxruntime_qnn") is not None
needs_qnn = pytest.mark.skipif(not HAS_QNN, reason="the extra optima[hexagon] is not installed")
NO_DLC: Any = {"device_options": {"HEXAGON": {"toolchain": "none"}}}


@pytest.fixture(autouse=True)
def no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("SNPE_ROOT", "QAIRT_SDK_ROOT", "QNN_SDK_ROOT", "OPTIMA_SNPE_PYTHON", "OPTIMA_HEXAGON_SIMULATOR"):
        monkeypatch.delenv(key, raising=False)


def two_thirds(graph: Any) -> list[str]:
    names = op_names(graph)
    return names[: len(names) * 2 // 3]


def meta_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "Subgraph_0" / "subgraph_0.meta").read_text())
    return found


def least_db(path: Path, cls: type[torch.nn.Module]) -> float:
    """The worst output of the loaded model against eager, over four samples that were not seen."""
    model, module = rt.Context().load_model(str(path), fallback=True), module_of(cls)
    found = []
    for (x,) in samples_of(cls, 12)[8:]:
        with torch.no_grad():
            wanted = module(x)
        got = model(x.numpy())
        pairs = zip(wanted, got, strict=True) if isinstance(wanted, tuple) else [(wanted, got)]
        found += [sqnr_db(w.numpy(), g) for w, g in pairs]
    return min(found)


@needs_qnn
@pytest.mark.parametrize("cls", [Cnn, Block])
def test_a_dlc_is_made_and_its_emulation_gives_eagers_answers(tmp_path: Path, cls: Any) -> None:
    graph = traced(module_of(cls), *samples_of(cls, 1)[0])
    path = compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(cls)).path
    meta = meta_of(path)
    assert (path / "Subgraph_0" / "subgraph_0.dlc").stat().st_size > 1000
    assert meta["format"] == "dlc" and meta["compiled_for_device"]
    assert "not validated with SNPE" in meta["producer"]
    assert min(meta["sqnr_db"].values()) > 20.0
    assert meta["quantisation"]["samples"] == 8
    model = rt.Context().load_model(str(path), fallback=True)
    assert "HTP emulation" in model.subgraph_info[0].runs_on
    assert least_db(path, cls) > 20.0


@needs_qnn
def test_a_whole_transformer_block_is_taken(tmp_path: Path) -> None:
    graph = traced(module_of(Block), *samples_of(Block, 1)[0])
    sixteen = {"HEXAGON": {"activation_bits": 16}}
    path = compiled(graph, tmp_path, "HEXAGON", op_names(graph), samples_of(Block), device_options=sixteen).path
    assert min(meta_of(path)["sqnr_db"].values()) > 45.0
    assert least_db(path, Block) > 40.0


@needs_qnn
def test_equal_models_have_equal_content(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = compiled(graph, tmp_path / name, "HEXAGON", two_thirds(graph), samples_of(Cnn)).path
        found.append((meta_of(path), (path / "Subgraph_0" / "subgraph_0.qdq.onnx").read_bytes()))
    assert found[0] == found[1]


@needs_qnn
def test_requests_at_the_same_time(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    path = compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn)).path
    model = rt.Context().load_model(str(path), fallback=True)
    inputs = [x.numpy() for (x,) in samples_of(Cnn, 4)]
    alone = [model(x)[0] for x in inputs]
    together: dict[int, np.ndarray[Any, Any]] = {}
    threads = [
        threading.Thread(target=lambda k=k: together.update({k: model(inputs[k])[0]})) for k in range(len(inputs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, wanted in enumerate(alone):
        np.testing.assert_array_equal(together[k], wanted)


def test_samples_are_run_up_to_the_border(tmp_path: Path) -> None:
    module: Any = module_of(Cnn)
    graph = traced(module, *samples_of(Cnn, 1)[0])
    last = [name for name in op_names(graph) if name not in two_thirds(graph)]
    path = compiled(graph, tmp_path, "HEXAGON", last, samples_of(Cnn), **NO_DLC).path
    part = path / "Subgraph_1"
    meta = json.loads((part / "subgraph_1.meta").read_text())
    assert len(meta["inputs"]) == 2
    (features,) = [t for t in meta["inputs"] if t["shape"] == [1, 16, 16, 16]]
    for k, (x,) in enumerate(samples_of(Cnn)):
        with torch.no_grad():
            early = torch.nn.functional.hardswish(module.norm1(module.first(x)))
            wanted = torch.relu(module.norm2(module.deep(early))).numpy()
        raw = np.frombuffer((part / "calib" / f"{k:04}_{features['name']}.raw").read_bytes(), "<f4")
        np.testing.assert_allclose(raw.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6)
    assert least_db(path, Cnn) > 20.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    return compiled(graph, folder, "HEXAGON", two_thirds(graph), samples_of(Cnn), **NO_DLC).path


def test_without_a_tool_there_is_no_dlc_but_all_that_makes_one(bundle: Path) -> None:
    part = bundle / "Subgraph_0"
    files = [p.relative_to(part).as_posix() for p in part.rglob("*") if p.is_file()]
    names = {name for name in files if not name.startswith("fallback/")}
    raws = {f"calib/{k:04}_tensor_0.raw" for k in range(8)}
    assert names == {"subgraph_0.meta", "subgraph_0.onnx", "subgraph_0.qdq.onnx", "input_list.txt", *raws}
    meta = meta_of(bundle)
    assert not meta["compiled_for_device"] and meta["artifact"] == ""
    assert meta["next_command"][0].startswith("snpe-onnx-to-dlc --input_network subgraph_0.onnx")


def test_onnx_runtime_simulates_and_says_so(bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "onnxruntime")
    with caplog.at_level("WARNING"):
        model = rt.Context().load_model(str(bundle), fallback=True)
    assert model.subgraph_info[0].simulated
    assert "onnxruntime" in model.subgraph_info[0].runs_on
    assert any("HEXAGON:0 is absent, a fallback runs instead" in r.getMessage() for r in caplog.records)
    assert least_db(bundle, Cnn) > 20.0


def test_the_absent_device_is_refused_without_fallback(bundle: Path) -> None:
    with pytest.raises(optima.errors.load("DeviceAbsent"), match="devices that are not here"):
        rt.Context().load_model(str(bundle))


def test_an_unknown_simulator_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_HEXAGON_SIMULATOR", "qemu")
    with pytest.raises(optima.UserError, match="qemu"):
        rt.Context().load_model(str(bundle), fallback=True)


@pytest.mark.parametrize("samples", [None, []])
def test_without_samples_it_says_what_to_pass(tmp_path: Path, samples: Any) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    with pytest.raises(CalibrationError, match="subgraph_0 on HEXAGON:0 is quantised") as refused:
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples, **NO_DLC)
    assert "sample_inputs=[(x,), ...]" in refused.value.hint


def test_nan_in_a_sample_is_refused(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    samples = [*samples_of(Cnn, 2), (torch.full((1, 3, 32, 32), float("nan")),)]
    with pytest.raises(CalibrationError, match="finite") as refused:
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples, **NO_DLC)
    assert refused.value.problems[0].subject == "sample_inputs[2]"


@pytest.mark.parametrize(
    "sample",
    [(torch.zeros(1, 3, 16, 16),), (torch.zeros(1, 3, 32, 32),) * 2, (torch.zeros(1, 3, 32, 32).double(),)],
    ids=["shape", "number", "dtype"],
)
def test_samples_that_do_not_fit_are_refused(tmp_path: Path, sample: Any) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    with pytest.raises(optima.errors.load("SampleError")):
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), [sample], **NO_DLC)


class Mixed(torch.nn.Module):
    def forward(self, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        shifted = index + 1
        return torch.lgamma(torch.erf(x)) + x.bfloat16().float() + torch.gather(x, 1, shifted)


def test_every_op_that_cannot_run_is_refused_at_once(tmp_path: Path) -> None:
    graph = traced(Mixed(), torch.rand(2, 8), torch.zeros(2, 3, dtype=torch.int64).fill_(1).repeat(1, 1)[:, :1])
    with pytest.raises(optima.errors.load("UnsupportedPlacement")) as refused:
        compiled(graph, tmp_path, "HEXAGON", op_names(graph), None)
    said = str(refused.value)
    assert "int64 is not a dtype of HEXAGON" in said
    assert "bfloat16 is not a dtype of HEXAGON" in said
    assert "no ONNX emission" in said
    assert "Erf" in said


def test_strict_without_a_tool_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optima.backends.snpe.tools.qnn_tool", lambda: optima.tools.Tool("onnxruntime-qnn", "", "pip"))
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    with pytest.raises(ToolMissing, match=r"\.dlc") as missing:
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), strict_targets=True)
    assert "SNPE_ROOT" in missing.value.hint and "[hexagon]" in missing.value.hint


def test_strict_and_no_toolchain_contradict_each_other(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    with pytest.raises(ToolMissing, match="strict_targets asks for one"):
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), strict_targets=True, **NO_DLC)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e300, 0.0])
def test_a_timeout_is_a_number_of_seconds(tmp_path: Path, seconds: float) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    options = {"HEXAGON": {"timeout_s": seconds}}
    with pytest.raises(optima.errors.load("DeviceOptionError"), match="HEXAGON.timeout_s"):
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), device_options=options)


def test_check_refuses_what_optimize_would(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    path = tmp_path / "map.json"
    path.write_text(json.dumps(dict.fromkeys(op_names(graph), "HEXAGON:0")))
    kinds = [DeviceEnum.DEVICE_KIND_HEXAGON]
    with pytest.raises(optima.errors.load("CalibrationError"), match="no representative data"):
        optima.check(kinds, graph, path, **NO_DLC)
    assert len(optima.check(kinds, graph, path, sample_inputs=samples_of(Cnn), **NO_DLC).subgraphs) == 1


def test_options_are_checked_whole(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    wrong = {"HEXAGON": {"activation_bits": 4, "shaves": 8, "soc_model": "SM8650"}}
    with pytest.raises(optima.errors.load("DeviceOptionError")) as refused:
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), device_options=wrong)
    assert {p.subject for p in refused.value.problems} == {
        "HEXAGON.activation_bits",
        "HEXAGON.shaves",
        "HEXAGON.soc_model",
    }


def test_too_much_noise_is_refused(tmp_path: Path) -> None:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    options = {"HEXAGON": {"toolchain": "none", "min_sqnr_db": 90.0}}
    with pytest.raises(KernelCompileError, match="too much noise"):
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), device_options=options)


def test_the_sdk_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNPE_ROOT", str(make_sdk(tmp_path / "sdk")))
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    path = compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn), strict_targets=True).path
    assert meta_of(path)["producer"] == "snpe-onnx-to-dlc, snpe-dlc-quant"
    assert (path / "Subgraph_0" / "subgraph_0.dlc").is_file()


def test_a_failing_sdk_is_one_error_with_subgraph_and_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNPE_ROOT", str(make_sdk(tmp_path / "sdk", quantiser_fault="fails")))
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    with pytest.raises(KernelCompileError, match="subgraph_0, step 'quantise with snpe-dlc-quant'") as failed:
        compiled(graph, tmp_path, "HEXAGON", two_thirds(graph), samples_of(Cnn))
    assert "Operator Erf is not supported" in "".join(failed.value.__notes__)
    assert "snpe-dlc-quant --input_dlc" in failed.value.hint
    (kept,) = re.findall(r"in (\S+), repeat it with", failed.value.hint)
    shutil.rmtree(kept)


def test_the_toolchain_is_listed() -> None:
    chain = optima.toolchains()[DeviceEnum.DEVICE_KIND_HEXAGON]
    assert chain.backend == "snpe" and chain.complete
    assert [t.name for t in chain.tools] == ["onnx", "onnxruntime", "SNPE or QAIRT SDK", "onnxruntime-qnn"]
