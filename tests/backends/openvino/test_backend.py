"""OpenVINO's devices: labelled stand-ins, real blobs, running, recompiling, refusals."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import optima
import optima.runtime as rt
from devices import DeviceEnum, DeviceRef
from optima.backends.base import LoadEnv
from optima.backends.openvino.load import load
from optima.graph import Graph
from optima.manager import CompiledModel, Manager
from tests.backends.one_subgraph import artifact_of, borders_of, view_of
from torch2nx.converter import Torch2GraphConverter

pytest.importorskip("openvino", reason="the extra optima[openvino] is not installed")
pytest.importorskip("onnx", reason="the extra optima[openvino] is not installed")

#: an interpreter with openvino 2021.4.2, the last release that compiles for MYRIAD
OLD_PYTHON = os.environ.get("OPTIMA_MYRIAD_PYTHON", "")
X64, MYRIAD = DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_MYRIAD


class Net(nn.Module):
    """A small network with a part that an NPU likes and a part that it does not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = nn.functional.hardswish(self.norm(self.conv(x)))
        result: torch.Tensor = self.head(features.mean((2, 3))).softmax(-1)
        return result


def compiled(
    folder: Path, kind: str = "MYRIAD", dtype: torch.dtype = torch.float32, **options: Any
) -> tuple[nn.Module, torch.Tensor, CompiledModel]:
    module, x = Net().eval().to(dtype), torch.randn(2, 3, 9, 7, dtype=dtype)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[x], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    other = {n: f"{kind}:0" if n.startswith(("conv", "batch", "hard", "mean")) else "X64:1" for n in names}
    (folder / "map.json").write_text(json.dumps(other))
    made = Manager().optimize("Net", [X64, MYRIAD], graph, folder, folder / "map.json", progress=False, **options)
    return module, x, made


def meta_of(made: CompiledModel, number: int = 0) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((made.path / f"Subgraph_{number}/subgraph_{number}.meta").read_text())
    return found


def assert_equal_to_eager(module: nn.Module, x: torch.Tensor, path: Path) -> rt.Model:
    model = rt.Context().load_model(path, fallback=True)
    with torch.no_grad():
        np.testing.assert_allclose(model(x.numpy()), module(x).numpy(), atol=1e-5)
    return model


def test_without_a_myriad_compiler_the_blob_is_labelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTIMA_MYRIAD_PYTHON", raising=False)
    with caplog.at_level(logging.WARNING):
        module, x, made = compiled(tmp_path)
    files = sorted(p.name for p in (made.path / "Subgraph_0").iterdir())
    assert files == ["fallback", "subgraph_0.cpu.blob", "subgraph_0.meta", "subgraph_0.onnx"]
    meta = meta_of(made)
    assert meta["format"] == "openvino-cpu-blob" and not meta["compiled_for_device"]
    assert "OPTIMA_MYRIAD_PYTHON" in meta["next_command"]
    assert "subgraph_0 for MYRIAD:0 is a stand-in, not the device's own file" in caplog.text
    model = assert_equal_to_eager(module, x, made.path)
    assert [s.simulated for s in model.subgraph_info] == [True, False]
    assert model.subgraph_info[0].runs_on == "OpenVINO's CPU plugin"


def test_without_fallback_an_absent_stick_is_named(tmp_path: Path) -> None:
    _, _, made = compiled(tmp_path)
    with pytest.raises(optima.errors.DeviceAbsent, match="devices that are not here"):
        rt.Context().load_model(made.path)


def test_strict_targets_refuse_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTIMA_MYRIAD_PYTHON", raising=False)
    with pytest.raises(optima.errors.ToolMissing, match="subgraph_0.*MYRIAD:0"):
        compiled(tmp_path, strict_targets=True)


def test_the_cpu_by_choice_is_no_stand_in(tmp_path: Path) -> None:
    module, x, made = compiled(tmp_path, "X64", backends={"X64": "openvino"}, strict_targets=True)
    assert meta_of(made)["compiled_for_device"]
    model = rt.Context().load_model(made.path)
    with torch.no_grad():
        np.testing.assert_allclose(model(x.numpy()), module(x).numpy(), atol=1e-5)
    assert not any(s.simulated for s in model.subgraph_info)


def test_a_constant_without_axes_stays_one(tmp_path: Path) -> None:
    """OpenVINO makes ``[1]`` of an Expand to no axes."""
    graph = Graph.parse("graph g(%x: i64[]) -> (%y)\n  %y = fill_0: fill(%x) {value=4} : i64[]\n")
    view = view_of(graph, artifact_of(graph, "openvino", DeviceRef.parse("X64:0")))
    env = LoadEnv(threads=1, fallback=False, log=logging.getLogger("tests"))
    borders = borders_of(graph, {"x": np.array(1)})
    load(view, DeviceRef.parse("X64:0"), env).bind(borders).run()
    assert borders["y"] == 4


def test_a_blob_of_another_version_is_compiled_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from devices import DeviceRef
    from optima.backends.base import LoadEnv, SubgraphView
    from optima.backends.openvino.load import load

    monkeypatch.delenv("OPTIMA_MYRIAD_PYTHON", raising=False)
    _, _, made = compiled(tmp_path)
    meta = meta_of(made)
    folder = made.path / "Subgraph_0"
    blob = (folder / "subgraph_0.cpu.blob").read_bytes()
    files = {
        "subgraph_0.cpu.blob": blob.replace(b";isa=", b";isb=", 1),
        "subgraph_0.onnx": (folder / "subgraph_0.onnx").read_bytes(),
    }
    view = SubgraphView("subgraph_0", meta, files, {}, meta["inputs"], meta["outputs"], {})
    log = logging.getLogger("test")
    with caplog.at_level(logging.WARNING):
        load(view, DeviceRef(MYRIAD, 0), LoadEnv(1, True, log, present=False))
    assert "its ONNX form is compiled" in caplog.text


def test_requests_do_not_share_buffers(tmp_path: Path) -> None:
    module, x, made = compiled(tmp_path)
    model = rt.Context().load_model(made.path, fallback=True)
    samples = [torch.randn_like(x) for _ in range(4)]
    requests = [model.create_request() for _ in samples]
    for request, sample in zip(requests, samples, strict=True):
        request.set_inputs(sample.numpy())
        request.infer()
    for request, sample in zip(requests, samples, strict=True):
        assert not request.wait()
        with torch.no_grad():
            np.testing.assert_allclose(request.get_outputs()[0], module(sample).numpy(), atol=1e-5)


def test_all_ops_that_it_cannot_take_are_refused_at_once(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            return torch.digamma(x) + torch.index_select(torch.lgamma(x), 0, index)

    graph = Torch2GraphConverter().convert(
        model=Odd().eval(), fake_torch_data=[torch.rand(3, 3), torch.tensor([0, 1, 2])], gpu=False
    )
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (tmp_path / "map.json").write_text(json.dumps(dict.fromkeys(names, "MYRIAD:0")))
    with pytest.raises(optima.errors.UnsupportedPlacement) as refused:
        Manager().optimize("Odd", [MYRIAD], graph, tmp_path, tmp_path / "map.json")
    text = str(refused.value)
    assert "digamma has no ONNX emission" in text and "lgamma has no ONNX emission" in text
    assert "int64 is not a dtype of MYRIAD" in text


def test_a_variable_that_names_no_interpreter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_MYRIAD_PYTHON", str(tmp_path))
    with pytest.raises(optima.errors.ToolMissing, match="which is no program"):
        compiled(tmp_path)
    assert "myriad-python" in str(optima.toolchains()[MYRIAD])


def test_unknown_options_are_listed(tmp_path: Path) -> None:
    with pytest.raises(optima.errors.DeviceOptionError) as refused:
        compiled(tmp_path, device_options={"MYRIAD": {"shave": 8, "precision": "int4"}})
    assert {p.subject for p in refused.value.problems} == {"MYRIAD.shave", "MYRIAD.precision"}


#: the question which operators are taken, answered: all
_ALL_TAKEN = "pathlib.Path(sys.argv[2]).write_text('[]')"


def interpreter(folder: Path, body: str, answer: str = _ALL_TAKEN) -> str:
    """A program in the place of the old interpreter. ``answer``: what it does when it is asked about operators."""
    path = folder / "python3.8"
    asked = f"if sys.argv[1].endswith('myriad_support.py'):\n    {answer}\n    sys.exit(0)"
    path.write_text(f"#!{sys.executable}\nimport sys, time, pathlib\n{asked}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("if len(sys.argv) > 2: time.sleep(60)", "did not end within"),
        ("if len(sys.argv) > 2: sys.exit('no module named openvino')", "no module named openvino"),
        ("print('3.8.1')", "wrote no subgraph.blob"),
        ("if len(sys.argv) > 2: pathlib.Path(sys.argv[3]).write_bytes(b'<html>')", "no blob"),
    ],
)
def test_a_myriad_compiler_that_misbehaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, match: str
) -> None:
    monkeypatch.setenv("OPTIMA_MYRIAD_PYTHON", interpreter(tmp_path, body))
    with pytest.raises(optima.errors.KernelCompileError, match="subgraph_0") as failed:
        compiled(tmp_path, device_options={"MYRIAD": {"timeout_s": 2}}, use_cache=False)
    assert match in str(failed.value) + "".join(failed.value.__notes__)
    assert "subgraph_0, step 'compile for MYRIAD'" in str(failed.value)
    (kept,) = re.findall(r"in (/\S*optima-myriad-\w+), repeat it with", failed.value.hint)
    assert (Path(kept) / "subgraph.onnx").is_file()
    shutil.rmtree(kept)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ("time.sleep(60)", "did not end within"),
        ("sys.exit('no module named ngraph')", "no module named ngraph"),
        ("pass", "wrote no answers.json"),
        ("pathlib.Path(sys.argv[2]).write_text('<html>')", "no list of answers"),
        ("pathlib.Path(sys.argv[2]).write_text('[1]')", "no list of answers"),
    ],
)
def test_an_answer_that_never_comes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, match: str
) -> None:
    monkeypatch.setenv("OPTIMA_MYRIAD_PYTHON", interpreter(tmp_path, "", answer))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(optima.errors.ToolFailed, match=match) as failed:
        compiled(tmp_path, device_options={"MYRIAD": {"timeout_s": 2}}, use_cache=False)
    assert failed.value.message.startswith("asking which operators MYRIAD takes: ")
    (kept,) = tmp_path.glob("optima-myriad-*")
    assert failed.value.hint.startswith(f"in {kept}, repeat it with: ") and (kept / "whole.onnx").is_file()


def test_what_the_myriad_compiler_does_not_take_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "pathlib.Path(sys.argv[2]).write_text(str(['Sin'] + [''] * (len(sys.argv) - 5)).replace(chr(39), chr(34)))"
    monkeypatch.setenv("OPTIMA_MYRIAD_PYTHON", interpreter(tmp_path, "", answer))
    with pytest.raises(
        optima.errors.UnsupportedPlacement, match="the MYRIAD compiler does not take it: Sin"
    ) as refused:
        compiled(tmp_path, use_cache=False)
    assert len(refused.value.problems) == 1


def test_the_command_line_of_the_myriad_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "argv.json"
    body = (
        "import json\n"
        "if len(sys.argv) > 2:\n"
        f"    pathlib.Path({str(record)!r}).write_text(json.dumps(sys.argv[1:]))\n"
        "    assert pathlib.Path(sys.argv[2]).read_bytes()\n"
        "    pathlib.Path(sys.argv[3]).write_bytes(b'\\x7felf' + b'of a test')\n"
    )
    monkeypatch.setenv("OPTIMA_MYRIAD_PYTHON", interpreter(tmp_path, body))
    module, x, made = compiled(tmp_path, device_options={"MYRIAD": {"shaves": 4}}, use_cache=False)
    script, source, blob, config = json.loads(record.read_text())
    assert Path(script).name == "myriad_compiler.py"
    assert (Path(source).suffix, Path(blob).suffix) == (".onnx", ".blob")
    assert json.loads(config) == {
        "MYRIAD_NUMBER_OF_SHAVES": "4", "MYRIAD_NUMBER_OF_CMX_SLICES": "8", "MYRIAD_THROUGHPUT_STREAMS": "1",
    }  # fmt: skip
    meta = meta_of(made)
    assert meta["blob"] == "subgraph_0.blob" and meta["format"] == "openvino-myriad-blob"
    assert meta["compiled_for_device"] and meta["opset"] == 11
    assert_equal_to_eager(module, x, made.path)  # by its ONNX form, on the CPU


@pytest.mark.skipif(not OLD_PYTHON, reason="OPTIMA_MYRIAD_PYTHON names no interpreter with openvino 2021.4.2")
def test_the_real_myriad_compiler_says_what_it_does_not_take(tmp_path: Path) -> None:
    """``sin`` is nothing that it knows; a division it rewrites, and takes."""

    class Waves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(x) / (1 + x * x)

    graph = Torch2GraphConverter().convert(model=Waves(), fake_torch_data=[torch.rand(2, 8)], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (tmp_path / "map.json").write_text(json.dumps(dict.fromkeys(names, "MYRIAD:0")))
    with pytest.raises(
        optima.errors.UnsupportedPlacement, match="the MYRIAD compiler does not take it: Sin"
    ) as refused:
        Manager().optimize("Waves", [MYRIAD], graph, tmp_path, tmp_path / "map.json")
    assert [p.subject.split("_")[0] for p in refused.value.problems] == ["sin"]


@pytest.mark.skipif(not OLD_PYTHON, reason="OPTIMA_MYRIAD_PYTHON names no interpreter with openvino 2021.4.2")
def test_the_real_myriad_compiler(tmp_path: Path) -> None:
    """Blobs of version 6 (an ELF head; then the magic number 9709, a size, the version), others for other shaves."""
    heads, blobs = set(), set()
    for shaves in (2, 8):
        module, x, made = compiled(
            tmp_path, device_options={"MYRIAD": {"shaves": shaves}}, strict_targets=True, use_cache=False
        )
        blob = (made.path / "Subgraph_0" / "subgraph_0.blob").read_bytes()
        magic, _, version = struct.unpack_from("<III", blob, 52)
        heads.add((blob[:4], magic, version))
        blobs.add(blob)
        assert_equal_to_eager(module, x, made.path)
    assert heads == {(b"\x7felf", 9709, 6)} and len(blobs) == 2


def test_a_half_model_keeps_half_borders_and_weights(tmp_path: Path) -> None:
    module, x, made = compiled(tmp_path, dtype=torch.float16)
    model = rt.Context().load_model(made.path, fallback=True)
    result = model(x.numpy())
    assert result.dtype == np.float16
    with torch.no_grad():
        np.testing.assert_allclose(result, module(x).numpy(), atol=4e-3)
    onnx = pytest.importorskip("onnx")
    source = onnx.load(made.path / "Subgraph_0/subgraph_0.onnx")
    held = {t.data_type for t in source.graph.initializer if len(t.dims) == 4}
    assert held == {onnx.TensorProto.FLOAT16}
