"""Compilers and validators that hang, crash, print garbage or write nothing: a typed error that says all of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import optima
from devices import DeviceEnum
from optima.backends.spirv import backend, clang, compile, compiler, flavour, glslang
from optima.backends.spirv.compiler import MODULE, Compiler, Step, module_of
from optima.backends.spirv.meta import Flavour
from optima.graph import Graph
from optima.jobs import stop_workers
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.statements import Printed
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget
from optima.manager import Manager
from optima.tools import ToolFailed
from tests.backends.spirv.harness import COMPILED
from torch2nx.converter import Torch2GraphConverter

ADD = "graph g(%x: f32[40], %z: f32[40]) -> (%y)\n  %y = add_0: add(%x, %z) : f32[40]\n"
#: what a tool does -> the program that does it, and what the error says of it
BEHAVIOURS = {
    "hangs": ("import time; print('thinking', flush=True); time.sleep(100)", "did not end within 2 s"),
    "crashes": ("import os, signal; print('oh'); os.kill(os.getpid(), signal.SIGSEGV)", "ended with status -11"),
    "refuses": ("import sys; sys.exit('kernel: 7: no such word')", "no such word"),
    "prints garbage": (
        f"import sys; sys.stdout.buffer.write(bytes(range(256))); open({MODULE!r}, 'wb').write(b'garbage')",
        "wrote what is no SPIR-V",
    ),
    "cuts its file off": (
        f"open({MODULE!r}, 'wb').write(bytes.fromhex('03022307') + bytes(16) + bytes.fromhex('0000ff00'))",
        "cut off",
    ),
    "writes nothing": ("print('done')", f"wrote no {MODULE}"),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compiler, "TIMEOUT_S", 2)
    yield


def printed(name: Flavour) -> Printed:
    (kernel,) = source(gpu_program(Graph.parse(ADD), GpuTarget()), GpuTarget(), flavour.ROUTES[name].dialect).kernels
    return kernel


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def compiling_with(found: Compiler, text: str) -> Compiler:
    """The compiler with another program in the place of its own."""
    (step, *_) = found.steps(found.levels[0])
    return replace(found, steps=lambda level: (Step(step.called, program(text), MODULE),))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_compiler_that_misbehaves(behaviour: str, name: Flavour) -> None:
    text, says = BEHAVIOURS[behaviour]
    found = flavour.find_compiler(name)
    with pytest.raises(ToolFailed, match=says) as failed:
        module_of(printed(name).text, compiling_with(found, text))
    assert failed.value.message.startswith(found.steps("")[0].called)
    folder = Path(failed.value.hint.split(",")[0].removeprefix("in "))
    # What the command in the hint needs is still there.
    assert (folder / found.source).read_text() == printed(name).text and "repeat it with" in failed.value.hint
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("behaviour", ["hangs", "crashes"])
def test_a_validator_that_gives_no_answer(behaviour: str, name: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    text, says = BEHAVIOURS[behaviour]
    monkeypatch.setattr(compiler, "_spirv_val", lambda module: Step("spirv-val", program(text)))
    monkeypatch.setattr(compiler, "TIMEOUT_S", 10)
    says = says.replace("2 s", "10 s")
    with pytest.raises(ToolFailed, match=f"spirv-val {says}"):
        module_of(printed(name).text, flavour.find_compiler(name))


@pytest.mark.parametrize("name", COMPILED)
def test_a_validator_that_refuses_is_believed(name: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Step("spirv-val", program("import sys; sys.exit('error: line 7')"))
    monkeypatch.setattr(compiler, "_spirv_val", lambda module: refusing)
    monkeypatch.setattr(compiler, "TIMEOUT_S", 60)
    with pytest.raises(optima.BadSpirv, match="spirv-val says: error: line 7") as refused:
        module_of(printed(name).text, flavour.find_compiler(name))
    assert printed(name).text in refused.value.hint


def test_a_module_that_is_refused_is_compiled_again_with_less(monkeypatch: pytest.MonkeyPatch) -> None:
    found = clang.of_wheel()
    if found is None:
        pytest.skip("ziglang is not installed")
    levels: list[str] = []

    def refusal(module: bytes, check: object, folder: Path) -> str:
        return "no" if len(levels) == 1 else ""

    def steps(level: str) -> tuple[Step, ...]:
        levels.append(level)
        return tuple(found.steps(level))

    monkeypatch.setattr(compiler, "_refusal", refusal)
    monkeypatch.setattr(compiler, "TIMEOUT_S", 60)
    assert module_of(printed("kernel").text, replace(found, steps=steps))
    assert levels == ["-O1", "-O0"]


def test_a_broken_wheel_is_the_tools_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libslang-glslang.so"
    library.write_bytes(b"no library")
    monkeypatch.setattr(glslang, "library_path", lambda: library)
    found = glslang.of_wheel()
    if found is None:
        pytest.skip("slangpy is not installed")
    with pytest.raises(ToolFailed, match=r"slangpy's glslang ended with status 1:(\n.*)*OSError"):
        module_of(printed("shader").text, found)


class TwoDevices(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(torch.relu(x))


#: stands for Debian's clang: ziglang's, but for a kernel with tanh
_CLANG = """#!{python}
import subprocess, sys
if "--version" in sys.argv: sys.exit(print("clang version 15.0.9"))
if "tanhf" in open("kernel.cl").read(): sys.exit("kernel.cl:1: error: no tanh today")
at = sys.argv.index("-o") + 1
sys.exit(subprocess.call([{python!r}, "-m", "ziglang", "clang", "-x", "cl", "-cl-std=CL1.2", "-cl-no-stdinc",
                          "-ffp-contract=off", "-target", "spirv64v1.2", "-O0", "-c", "kernel.cl", "-o", sys.argv[at]]))
"""
_TRANSLATOR = """#!{python}
import shutil, sys
if "--version" in sys.argv: sys.exit(print("LLVM version 15.0.9"))
shutil.copy("kernel.bc", "kernel.spv")
"""


def test_what_is_finished_stays_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if clang.of_wheel() is None:
        pytest.skip("ziglang is not installed")
    for name, text in (("clang", _CLANG), ("llvm-spirv", _TRANSLATOR)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("OPTIMA_CACHE_DIR", str(tmp_path / "cache"))
    systems = clang.of_system()
    assert systems is not None and systems.name == "clang"
    for module in (backend, compile):
        monkeypatch.setattr(module, "find_compiler", lambda flavour: systems)
    stop_workers()  # the next ones see the new PATH
    module, sample = TwoDevices().eval(), torch.randn(3, 4)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[sample], gpu=False)
    relu, tanh = (n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode")
    (tmp_path / "map.json").write_text(json.dumps({relu: "ADRENO:0", tanh: "ADRENO:1"}))
    with pytest.raises(optima.KernelCompileError) as failed:
        Manager().optimize(
            "m", [DeviceEnum.DEVICE_KIND_ADRENO], graph, tmp_path / "out", tmp_path / "map.json",
            progress=False, cpu_fallback=False, device_options={"ADRENO": {"flavour": "kernel"}},
        )  # fmt: skip
    stop_workers()
    text = str(failed.value)
    assert tanh in text and "clang ended with status 1: kernel.cl:1: error: no tanh today" in text
    assert "repeat it with" in text and relu not in text
    (entry,) = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert b"0.spv" in entry.read_bytes()
    assert not (tmp_path / "out" / "m").exists()
