"""The SDK's route: argv against the documented contract, discovery, and tools that misbehave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optima.backends.snpe.job import Request, compile_subgraph
from optima.backends.snpe.sdk import Sdk, find_sdk
from optima.onnx_export import to_onnx
from optima.quantise import Scheme
from optima.tools import ToolFailed, ToolMissing
from tests.backends.snpe.fake_sdk import FAULTS, make_sdk
from tests.backends.snpe.models import Cnn, graph_of, samples_of

BIN = "bin/x86_64-linux-clang"
INPUTS = {"tensor_0": (1, 3, 32, 32), "tensor_1": (4, 7)}


def program(folder: Path, name: str, content: bytes = b"\x7fELF") -> None:
    (folder / BIN).mkdir(parents=True, exist_ok=True)
    (folder / BIN / name).write_bytes(content)


def test_snpes_commands(tmp_path: Path) -> None:
    for name in ("snpe-onnx-to-dlc", "snpe-dlc-quant"):
        program(tmp_path, name)
    sdk = Sdk(str(tmp_path), "snpe-onnx-to-dlc", "snpe-dlc-quant", python="python3.8")
    assert sdk.convert_command("m.onnx", "m.dlc", INPUTS) == [
        str(tmp_path / BIN / "snpe-onnx-to-dlc"),
        *("--input_network", "m.onnx", "--output_path", "m.dlc"),
        *("--input_layout", "tensor_0", "NCHW", "--input_dtype", "tensor_0", "float32"),
        *("--input_layout", "tensor_1", "NONTRIVIAL", "--input_dtype", "tensor_1", "float32"),
        "--preserve_io",
    ]
    assert sdk.quantise_command("m.dlc", "q.dlc", Scheme(16)) == [
        str(tmp_path / BIN / "snpe-dlc-quant"),
        *("--input_dlc", "m.dlc", "--input_list", "input_list.txt", "--output_dlc", "q.dlc"),
        *("--act_bitwidth", "16", "--weights_bitwidth", "8", "--bias_bitwidth", "32"),
    ]


def test_qairts_commands(tmp_path: Path) -> None:
    for name in ("qairt-converter", "qairt-quantizer"):
        program(tmp_path, name, b"#!/usr/bin/env python3\n")
    sdk = find_sdk({"QAIRT_SDK_ROOT": str(tmp_path), "OPTIMA_SNPE_PYTHON": "/opt/python3.10"})
    assert sdk is not None
    assert sdk.convert_command("m.onnx", "m.dlc", INPUTS) == [
        "/opt/python3.10",
        str(tmp_path / BIN / "qairt-converter"),
        *("--input_network", "m.onnx", "--output_path", "m.dlc"),
    ]
    assert sdk.quantise_command("m.dlc", "q.dlc", Scheme())[:2] == [
        "/opt/python3.10",
        str(tmp_path / BIN / "qairt-quantizer"),
    ]


def test_the_environment_is_what_the_sdk_sets(tmp_path: Path) -> None:
    environment = Sdk(str(tmp_path), "a", "b").environment
    assert environment["PATH"].startswith(str(tmp_path / BIN))
    assert environment["LD_LIBRARY_PATH"].startswith(str(tmp_path / "lib/x86_64-linux-clang"))
    assert environment["PYTHONPATH"] == str(tmp_path / "lib/python")


def test_discovery(tmp_path: Path) -> None:
    assert find_sdk({}) is None
    for name in ("snpe-onnx-to-dlc", "snpe-dlc-quantize"):
        program(tmp_path / "old", name)
    found = find_sdk({"SNPE_ROOT": str(tmp_path / "old")})
    assert found is not None
    assert found.quantiser == "snpe-dlc-quantize"
    program(tmp_path / "half", "qairt-converter")
    with pytest.raises(ToolMissing, match="QAIRT_SDK_ROOT is") as missing:
        find_sdk({"QAIRT_SDK_ROOT": str(tmp_path / "half")})
    assert "snpe-dlc-quant" in missing.value.hint


def test_another_program_is_another_sdk(tmp_path: Path) -> None:
    sdk = find_sdk({"SNPE_ROOT": str(make_sdk(tmp_path / "sdk"))})
    assert sdk is not None
    before = sdk.identity
    program(tmp_path / "sdk", "snpe-dlc-quant", b"another")
    assert sdk.identity != before


def request(sdk: Path, timeout_s: float = 60.0) -> Request:
    graph = graph_of(Cnn)
    data = {graph.inputs[0]: np.stack([x.numpy() for (x,) in samples_of(Cnn, 2)])}
    found = find_sdk({"SNPE_ROOT": str(sdk), "OPTIMA_SNPE_PYTHON": sys.executable})
    assert found is not None
    return Request("subgraph_3", to_onnx(graph), data, Scheme(), 10.0, 57, 75, timeout_s, found)


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed tool leaves behind goes with the test."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


@pytest.mark.usefixtures("own_temporary_folder")
def test_the_tools_get_the_files_that_they_document(tmp_path: Path) -> None:
    compile_subgraph(request(make_sdk(tmp_path / "sdk")))
    calls = [json.loads(line) for line in (tmp_path / "sdk" / "log.jsonl").read_text().splitlines()]
    assert [words[0] for words in calls] == ["--input_network", "--input_dlc"]
    assert not list((tmp_path / "temporary").glob("optima-*"))


@pytest.mark.usefixtures("own_temporary_folder")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tool", ["converter", "quantiser"])
def test_a_tool_that_misbehaves_is_named_with_subgraph_and_step(tmp_path: Path, tool: str, fault: str) -> None:
    faults: Any = {f"{tool}_fault": fault}
    wanted = {"converter": "convert with snpe-onnx-to-dlc", "quantiser": "quantise with snpe-dlc-quant"}[tool]
    with pytest.raises(ToolFailed, match=f"subgraph_3, step '{wanted}'") as failed:
        compile_subgraph(request(make_sdk(tmp_path / "sdk", **faults), timeout_s=5.0 if fault == "hangs" else 60.0))
    (kept,) = (tmp_path / "temporary").glob("optima-*")
    assert str(kept) in failed.value.hint
    assert (kept / "model.onnx").exists()
    said = str(failed.value)
    expected = {"hangs": "within 5 s", "crashes": "status -11", "fails": "Erf is not", "writes two": "2 .dlc files"}
    assert expected.get(fault, "wrote") in said
