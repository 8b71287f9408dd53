"""Google's compiler by a stand-in that keeps to its documented command line: what is asked of it, and how it fails."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

import optima
from devices import DeviceEnum
from optima.backends.base import CompileOptions
from optima.backends.device_options import DeviceOptionError, read_device_options
from optima.backends.edgetpu.compiler import command, counts, operators
from optima.backends.edgetpu.options import TpuOptions
from optima.backends.edgetpu.tools import tools
from tests.backends.edgetpu.models import SmallCnn, compiled, samples, seeded, traced

pytest.importorskip("ai_edge_quantizer", reason="the extra optima[tpu] is not installed")

#: what version 16 prints, with --show_operations
SAID = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1753 ms.

Input model: model.tflite
Input size: 1.94MiB
Output model: model_edgetpu.tflite
Number of Edge TPU subgraphs: 1
Total number of operations: 9

Operator                       Count      Status

CONV_2D                        5          Mapped to Edge TPU
MAX_POOL_2D                    1          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
GELU                           2          Operation not supported
"""  # noqa: E501

_STAND_IN = """#!{python}
import json, pathlib, sys, time
if "--version" in sys.argv:
    print("Edge TPU Compiler version 16.0.384591198")
    sys.exit(0)
pathlib.Path({log!r}).write_text(json.dumps(sys.argv[1:]))
{body}
"""
_WORKS = """
out = pathlib.Path(sys.argv[sys.argv.index("--out_dir") + 1])
model = pathlib.Path(sys.argv[-1])
(out / (model.stem + "_edgetpu.tflite")).write_bytes(model.read_bytes() + b"stand-in")
print({said!r})
"""


def stand_in(folder: Path, body: str) -> Path:
    path = folder / "edgetpu_compiler"
    path.write_text(_STAND_IN.format(python=sys.executable, log=str(folder / "argv.json"), body=body))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def graph() -> object:
    return traced(seeded(SmallCnn()))


def compile_with(graph: object, folder: Path, body: str, monkeypatch: pytest.MonkeyPatch, **options: object) -> Path:
    monkeypatch.setenv("OPTIMA_EDGETPU_COMPILER", str(stand_in(folder, body)))
    given = {"TPU": options}
    return compiled(graph, folder, ["linear"], sample_inputs=samples(2), device_options=given, use_cache=False).path


def test_what_it_makes_is_packaged_and_labelled(graph: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_with(graph, tmp_path, _WORKS.format(said=SAID), monkeypatch, min_runtime_version=13, timeout_s=60)
    folder = path / "Subgraph_0"
    made = (folder / "subgraph_0_edgetpu.tflite").read_bytes()
    assert made == (folder / "subgraph_0.tflite").read_bytes() + b"stand-in"
    assert json.loads((tmp_path / "argv.json").read_text()) == [
        "--show_operations", "--min_runtime_version", "13", "--timeout_sec", "60", "--out_dir", ".", "model.tflite",
    ]  # fmt: skip
    meta = json.loads((folder / "subgraph_0.meta").read_text())
    assert (meta["status"], meta["compiled_for_device"], meta["next_command"]) == ("compiled", True, "")
    assert meta["producer"]["edgetpu_compiler"] == "16.0.384591198"
    assert meta["compiler_counts"] == {"edge_tpu": 6, "host": 3}


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("sys.exit('Internal compiler error. Aborting!')", "Internal compiler error"),
        ("print('done')", "wrote no model_edgetpu.tflite"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
        ("pathlib.Path('model_edgetpu.tflite').write_text('junk, no model')", "that is no TFLite model"),
    ],
    ids=["fails", "writes nothing", "crashes", "writes garbage"],
)
def test_its_failures_are_shown(
    graph: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, match: str
) -> None:
    with pytest.raises(optima.UserError) as failed:
        compile_with(graph, tmp_path, body, monkeypatch)
    assert match in str(failed.value) + "".join(getattr(failed.value, "__notes__", ()))
    assert "--out_dir . model.tflite" in failed.value.hint
    assert "subgraph_0, step 'compile with edgetpu_compiler'" in str(failed.value)
    (kept,) = re.findall(r"in (/\S*optima-edgetpu-\w+), repeat it with", failed.value.hint)
    assert (Path(kept) / "model.tflite").read_bytes()[4:8] == b"TFL3"
    shutil.rmtree(kept)
    assert not (tmp_path / "out/Net").exists()


def test_one_that_hangs_is_stopped(graph: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optima.backends.edgetpu.compiler._GRACE_S", 0)
    from optima.backends.edgetpu.compiler import compiled as run
    from optima.tools import ToolFailed

    start = time.monotonic()
    with pytest.raises(ToolFailed, match="did not end within 1 s"):
        run(str(stand_in(tmp_path, "time.sleep(600)")), b"model", TpuOptions(timeout_s=1), tmp_path)
    assert time.monotonic() - start < 60


def test_the_command_follows_the_options() -> None:
    assert command("edgetpu_compiler", "m.tflite", ".", TpuOptions()) == [
        "edgetpu_compiler", "--show_operations", "--out_dir", ".", "m.tflite",
    ]  # fmt: skip
    assert "--search_delegate" in command("c", "m.tflite", ".", TpuOptions(search_delegate=True))


def test_its_table_is_read() -> None:
    rows = operators(SAID)
    assert [(r["op"], r["count"], r["on_device"]) for r in rows] == [
        ("CONV_2D", 5, True), ("MAX_POOL_2D", 1, True), ("QUANTIZE", 1, False), ("GELU", 2, False),
    ]  # fmt: skip
    assert counts(rows) == {"edge_tpu": 6, "host": 3}
    assert operators("Internal compiler error. Aborting!") == []


def test_all_faults_of_the_options_come_at_once() -> None:
    given = {"timeout": 3, "min_runtime_version": "14", "search_delegate": 1, "min_sqnr_db": 20.0}
    with pytest.raises(DeviceOptionError) as refused:
        read_device_options(TpuOptions, DeviceEnum.DEVICE_KIND_TPU, CompileOptions(device_options={"TPU": given}))
    faults = {p.subject for p in refused.value.problems}
    assert faults == {"TPU.timeout", "TPU.min_runtime_version", "TPU.search_delegate"}
    assert "timeout_s" in refused.value.hint


def test_options_are_checked_before_anything_is_compiled(graph: object, tmp_path: Path) -> None:
    with pytest.raises(DeviceOptionError, match="cannot be used"):
        compiled(graph, tmp_path, device_options={"TPU": {"speed": "fast"}}, sample_inputs=samples(1))


def test_the_toolchain_is_ready_without_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPTIMA_EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    chain = optima.toolchains()[DeviceEnum.DEVICE_KIND_TPU]
    assert chain.backend == "edgetpu" and chain.complete
    compiler = tools(DeviceEnum.DEVICE_KIND_TPU)[-1]
    assert not compiler.found and "coral.ai" in compiler.install
