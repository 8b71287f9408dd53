"""CV22 and ARA1: the bundle, the user's command for the vendor's compiler, and commands that misbehave."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import optima
import optima.runtime as rt
from devices import DeviceEnum
from optima.backends.vendor_bundle.template import CommandTemplateError, filled, identity, parse_template
from optima.jobs import KernelCompileError
from optima.tools import ToolMissing
from tests.backends.snpe.models import Cnn, compiled, module_of, op_names, samples_of, traced
from tests.backends.snpe.test_whole_way import least_db

pytest.importorskip("onnx", reason="the extra optima[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

CV22 = DeviceEnum.DEVICE_KIND_CV22
COMPILER = """
import sys
from pathlib import Path
model, listed, out = map(Path, sys.argv[1:4])
rows = listed.read_text().splitlines()
assert all((listed.parent / word.partition(':=')[2]).is_file() for row in rows for word in row.split())
{fault}
(out / "parts").mkdir()
(out / "parts" / "net.bin").write_bytes(model.read_bytes()[:8])
"""
FAULTS = {
    "hangs": ("import time; time.sleep(60)", "within 3 s"),
    "crashes": ("import os; os.kill(os.getpid(), 11)", "status -11"),
    "fails": ("sys.exit('no such layer')", "no such layer"),
    "prints garbage": ("sys.stdout.buffer.write(bytes(range(256))); sys.exit(3)", "status 3"),
    "writes odd names": (
        "(out / 'a\\nb').write_text('x'); (out / 'c\\\\d').write_text('x'); open(bytes(out) + b'/\\xe9', 'w').close()",
        r"'\udce9' holds",
    ),
    "writes a link": ("(out / 'passwd').symlink_to('/etc/passwd'); (out / 'a').write_text('x')", "'passwd' is a link"),
    "writes a link to a folder": ("(out / 'etc').symlink_to('/etc')", "'etc' is a link"),
    "puts a link for its folder": ("out.rmdir(); out.symlink_to('/etc'); sys.exit(0)", "'.' is a link"),
    "writes a pipe": ("import os; os.mkfifo(out / 'p')", "'p' is no file"),
    "removes its folder": ("out.rmdir(); sys.exit(0)", "'.' is no file"),
    "writes nothing": ("sys.exit(0)", "wrote nothing"),
}


@pytest.fixture(autouse=True)
def no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CV22", "ARA1"):
        monkeypatch.delenv(f"OPTIMA_{kind}_COMPILE_CMD", raising=False)


def command(folder: Path, fault: str = "") -> str:
    """A template for a compiler of our own."""
    script = folder / "compiler.py"
    script.write_text(COMPILER.format(fault=FAULTS[fault][0] if fault else ""))
    return shlex.join([sys.executable, str(script)]) + " {onnx} {input_list} {out}"


def bundle(folder: Path, kind: str, **options: Any) -> Path:
    graph = traced(module_of(Cnn), *samples_of(Cnn, 1)[0])
    names = op_names(graph)
    return compiled(graph, folder, kind, names[: len(names) * 2 // 3], samples_of(Cnn, 4), **options).path


@pytest.mark.parametrize("kind", ["CV22", "ARA1"])
def test_a_bundle_without_a_command(tmp_path: Path, kind: str) -> None:
    path = bundle(tmp_path, kind, cpu_fallback=False)
    part = path / "Subgraph_0"
    names = {p.relative_to(part).as_posix() for p in part.rglob("*") if p.is_file()}
    raws = {f"calib/{k:04}_tensor_0.raw" for k in range(4)}
    assert names == {"subgraph_0.meta", "subgraph_0.onnx", "subgraph_0.qdq.onnx", "input_list.txt", *raws}
    meta = json.loads((part / "subgraph_0.meta").read_text())
    assert not meta["compiled_for_device"]
    assert f"OPTIMA_{kind}_COMPILE_CMD" in meta["next_command"][0]
    assert min(meta["sqnr_db"].values()) > 20.0
    model = rt.Context().load_model(str(path), fallback=True)
    assert model.subgraph_info[0].simulated and "onnxruntime" in model.subgraph_info[0].runs_on
    assert least_db(path, Cnn) > 20.0


def test_a_command_compiles_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_ARA1_COMPILE_CMD", command(tmp_path))
    part = bundle(tmp_path, "ARA1", strict_targets=True) / "Subgraph_0"
    assert len((part / "vendor" / "parts" / "net.bin").read_bytes()) == 8
    meta = json.loads((part / "subgraph_0.meta").read_text())
    assert meta["compiled_for_device"]
    assert meta["artifact"] == list(meta["content_sha256"]) == ["vendor/parts/net.bin"]


def test_strict_without_a_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="Ambarella") as missing:
        bundle(tmp_path, "CV22", strict_targets=True)
    assert "OPTIMA_CV22_COMPILE_CMD" in missing.value.hint


@pytest.mark.parametrize("fault", FAULTS)
def test_a_command_that_misbehaves_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("OPTIMA_CV22_COMPILE_CMD", command(tmp_path, fault))
    with pytest.raises(KernelCompileError, match="subgraph_0, step 'compile with") as failed:
        bundle(tmp_path, "CV22", device_options={"CV22": {"timeout_s": 3.0}})
    assert FAULTS[fault][1] in "".join(failed.value.__notes__)
    assert "InternalError" not in str(failed.value) and "repeat it with" in failed.value.hint
    if fault == "writes odd names":
        assert all(name in str(failed.value) for name in (r"'a\nb'", r"'c\\d'", r"'\udce9'"))
    (kept,) = re.findall(r"/\S*optima-vendor-\w+(?=,)", failed.value.hint)
    assert (Path(kept) / "subgraph_0.onnx").is_file()
    shutil.rmtree(kept)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("compiler {model} {out}", r"\{model\}"),
        ("compiler {onnx}", "must name {out}"),
        ("compiler {out}", "must name {out}"),
        ("compiler '{onnx} {out}", "cannot be read"),
    ],
)
def test_a_template_that_is_no_command_is_refused(text: str, match: str) -> None:
    with pytest.raises(CommandTemplateError, match=match):
        parse_template(CV22, text)


def test_a_template_is_filled_word_by_word(tmp_path: Path) -> None:
    (tmp_path / "my compiler").touch(mode=0o755)
    words = parse_template(CV22, f"'{tmp_path}/my compiler' --model={{onnx}} -o {{out}} '{{\"json\": 1}}'")
    paths = {"onnx": Path("/a b/m.onnx"), "out": Path("/o")}
    assert filled(words, paths) == [str(tmp_path / "my compiler"), "--model=/a b/m.onnx", "-o", "/o", '{"json": 1}']


def test_another_compiler_is_another_key(tmp_path: Path) -> None:
    script = tmp_path / "compiler.py"
    seen = set()
    for text in ("one", "two"):
        script.write_text(text)
        seen.add(identity(parse_template(CV22, f"{sys.executable} {script} {{onnx}} {{out}}")))
    assert len(seen) == 2


def test_a_wrong_template_shows_in_the_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_CV22_COMPILE_CMD", "compiler")
    chain = optima.toolchains()[CV22]
    assert chain.backend == "vendor_bundle" and chain.complete
    assert "must name {out}" in str(chain)


def test_a_command_without_its_program_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_CV22_COMPILE_CMD", "no-such-compiler {onnx} {out}")
    with pytest.raises(CommandTemplateError, match="'no-such-compiler', which is no program here"):
        parse_template(CV22, "no-such-compiler {onnx} {out}")
    (vendor,) = (tool for tool in optima.toolchains()[CV22].tools if "CVflow" in tool.name)
    assert not vendor.found
