"""What jobs make and the meta says; which compilers and options there are; what a compiler may do wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import optima
from devices import DeviceEnum
from optima.backends import backend_of
from optima.backends.base import CompileOptions
from optima.backends.cuda import compiler as cuda_compiler
from optima.backends.cuda.compiler import Compiler, architectures, check_architecture, find_compiler
from optima.backends.cuda.compiler import compiled as images_of
from optima.backends.cuda.meta import CudaSubgraph
from optima.backends.cuda.tools import NVCC
from optima.graph import Graph
from optima.ops.entry import No, Yes
from optima.tools import ToolMissing
from tests.backends.cuda.harness import ADD, DEVICE, SUM, compiled, needs_compiler, options

MINIMAL = 'extern "C" __global__ void k(float* b) { b[0] = 1.0f; }\n'


def answers(text: str, given: CompileOptions) -> dict[str, object]:
    graph = Graph.parse(text)
    return dict(backend_of("cuda").check(graph, [op.name for op in graph.ops], DEVICE, given))


@needs_compiler
def test_bytes_and_meta_are_the_same_every_time() -> None:
    (_, first), (_, second) = compiled(SUM), compiled(SUM)
    assert first.files == second.files and first.meta == second.meta


@needs_compiler
def test_every_launch_has_machine_code_ptx_and_its_text() -> None:
    _, artifact = compiled(SUM, architecture="sm_80")
    meta = CudaSubgraph.model_validate(artifact.meta)
    assert meta.architecture == "sm_80" and meta.capability == (8, 0)
    for kernel in meta.kernels:
        assert artifact.files[kernel.cubin].startswith(b"\x7fELF")
        assert b".target sm_80" in artifact.files[kernel.ptx]
        assert (
            f"void __launch_bounds__({kernel.threads[0]}) {kernel.entry_point}("
            in artifact.files[kernel.source].decode()
        )
        assert f".entry {kernel.entry_point}(".encode() in artifact.files[kernel.ptx]
    assert {Path(name).suffix for name in artifact.files} == {".cu", ".ptx", ".cubin"}
    assert artifact.executed_on == "" and {"optima", "apache-tvm"} < set(artifact.produced_by)


@needs_compiler
def test_ptx_alone() -> None:
    _, artifact = compiled(ADD, form="ptx")
    meta = CudaSubgraph.model_validate(artifact.meta)
    assert meta.form == "ptx" and {Path(name).suffix for name in artifact.files} == {".cu", ".ptx"}
    assert meta.calls[0].args == ("x", "z", "y")
    assert [a.access for a in meta.kernels[0].arguments] == ["read", "read", "write"]


@needs_compiler
def test_arithmetic_is_compiled_as_it_is_written() -> None:
    """Nothing is fused or cancelled, and ``x * 0.0`` is not taken for 0: PTX's ``.rn`` forbids it to ptxas as well."""
    _, artifact = compiled(
        "graph g(%x: f32[40], %z: f32[40]) -> (%y)\n  %a = mul_0: mul(%x, %z) : f32[40]\n"
        "  %y = add_1: add(%a, %x) : f32[40]\n"
    )
    ptx = next(data for name, data in artifact.files.items() if name.endswith(".ptx")).decode()
    assert "mul.rn.f32" in ptx and "add.rn.f32" in ptx and "fma.rn.f32" not in ptx
    body = "b[0] = b[0] * __uint_as_float(0u); b[1] = (b[1] + c) - c;"
    text = f'extern "C" __global__ void k(float* b, float c) {{ {body} }}\n'
    made = images_of([text], find_compiler(), "sm_75", ("ptx",), 60)["0.ptx"].decode()
    assert "0f00000000" in made and all(f"{name}.rn.f32" in made for name in ("mul", "add", "sub"))


def test_ops_are_claimed_or_refused_with_a_reason() -> None:
    for dtype in ("f32", "f64", "f16", "bf16", "i64", "u8"):
        assert answers(ADD.replace("f32", dtype), options()) == {"add_0": Yes()}
    assert answers(ADD.replace("f32", "c64"), options()) == {"add_0": No("complex64 has no kernels")}


def test_wrong_options_are_listed_together() -> None:
    given = options(architecture="sm_81", form="fatbin", arch="sm_80")
    with pytest.raises(optima.DeviceOptionError) as caught:
        answers(ADD, given)
    assert all(word in str(caught.value) for word in ("'sm_81'", "'fatbin'", "NVIDIA.arch "))


@needs_compiler
def test_an_architecture_that_the_compiler_does_not_know_is_refused_before_compiling() -> None:
    found = find_compiler()
    assert "sm_75" in architectures(found)
    with pytest.raises(optima.DeviceOptionError, match="does not compile for sm_1"):
        check_architecture(found, "sm_1")


def test_nvidias_own_compiler_takes_the_same_text() -> None:
    try:
        nvcc = find_compiler(NVCC)
    except ToolMissing as missing:
        pytest.skip(missing.message)
    _, first = compiled(SUM, compiler=NVCC)
    _, second = compiled(SUM, compiler=NVCC)
    assert first.files == second.files and first.produced_by[NVCC] == nvcc.version


def stand_in_nvcc(folder: Path, script: str) -> Compiler:
    tool = folder / "nvcc"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return Compiler(NVCC, "0.0", str(tool))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'ptxas: no registers left' >&2; exit 7", "no registers left"),
        ("kill -SEGV $$", "status -11"),
        ("sleep 60", "did not end within"),
        ("echo fine", "wrote no ptx"),
        ("echo garbage > 0.ptx; echo garbage > 0.cubin", "is no ptx"),
        ('echo ".version 9" > 0.ptx', "is no ptx"),
        ('echo ".version 9 {}" > 0.ptx; echo garbage > 0.cubin', "is no cubin"),
        ('echo ".version 9 {}" > 0.ptx; head -c 99 "$0" > 0.cubin', "is no cubin"),
        ('echo ".version 9 {}" > 0.ptx; : > 0.cubin', "wrote no cubin"),
        ("echo fine", "repeat it with: .*nvcc -arch=sm_75"),
    ],
)
def test_a_compiler_that_misbehaves_is_a_typed_error(tmp_path: Path, script: str, words: str) -> None:
    nvcc = stand_in_nvcc(tmp_path, script)
    with pytest.raises(optima.ToolFailed, match=words) as failed:
        images_of([MINIMAL], nvcc, "sm_75", ("ptx", "cubin"), 1.0)
    kept = Path(failed.value.hint.removeprefix("in ").partition(",")[0])
    assert (kept / "0.cu").read_text() == MINIMAL  # what the command to repeat reads
    shutil.rmtree(kept)


@needs_compiler
def test_a_cubin_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """As a full disk leaves it; the GPU would be the first to say so."""
    whole = images_of([MINIMAL], find_compiler(), "sm_75", ("ptx", "cubin"), 60)
    (tmp_path / "whole").write_bytes(whole["0.cubin"])
    (tmp_path / "text").write_bytes(whole["0.ptx"])
    for size, cut in ((len(whole["0.cubin"]) - 1, "0.cubin"), (len(whole["0.ptx"]) - 4, "0.ptx")):
        nvcc = stand_in_nvcc(
            tmp_path, f"cp {tmp_path}/text 0.ptx; cp {tmp_path}/whole 0.cubin; truncate -s {size} {cut}"
        )
        with pytest.raises(optima.ToolFailed, match=f"is no {cut[2:]}"):
            images_of([MINIMAL], nvcc, "sm_75", ("ptx", "cubin"), 5.0)


@pytest.mark.parametrize(
    ("said", "known"),
    [("warning 2026; compute_75 compute_80", ("sm_75", "sm_80")), ("no GPU of 2026", ()), ("", ())],
)
def test_only_architectures_that_are_named_count(tmp_path: Path, said: str, known: tuple[str, ...]) -> None:
    nvcc = stand_in_nvcc(tmp_path, f"echo '{said}'")
    if known:
        assert architectures(nvcc) == known
    else:
        with pytest.raises(optima.ToolFailed, match="does not say what it compiles for"):
            architectures(nvcc)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.abort()", "status -6"),
        ("import time; time.sleep(60)", "did not end within"),
        ("print('all well')", "wrote no ptx"),
    ],
)
def test_a_library_that_crashes_or_hangs_takes_only_its_process(
    tmp_path: Path, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "process.py"
    stand_in.write_text(script)
    monkeypatch.setattr(cuda_compiler, "_SCRIPT", stand_in)
    with pytest.raises(optima.ToolFailed, match=words) as caught:
        images_of([MINIMAL], Compiler("nvidia-cuda-nvrtc", "0.0", "libnvrtc.so.0"), "sm_75", ("ptx",), 2.0)
    assert words.startswith("wrote") or str(stand_in) in str(caught.value)


@needs_compiler
def test_what_nvrtc_refuses_is_shown() -> None:
    with pytest.raises(optima.ToolFailed, match='identifier "nonsense" is undefined'):
        images_of(["__global__ void k() { nonsense; }"], find_compiler(), "sm_75", ("ptx",), 60)


def test_no_compiler_is_a_typed_error_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_compiler, "_path_of", lambda tool: "")
    with pytest.raises(optima.ToolMissing, match="no compiler of CUDA") as caught:
        find_compiler.__wrapped__("auto")
    assert "[nvidia]" in str(caught.value)


def test_the_toolchain_lists_compilers_driver_and_simulator() -> None:
    chain = optima.toolchains()[DeviceEnum.DEVICE_KIND_NVIDIA]
    assert chain.backend == "cuda"
    assert {"nvidia-cuda-nvrtc", "nvcc", "libcuda.so.1", "c++"} <= {tool.name for tool in chain.tools}


@needs_compiler
def test_a_kernels_key_covers_architecture_and_form() -> None:
    names = set()
    for given in ({}, {"architecture": "sm_80"}, {"form": "ptx"}):
        jobs = backend_of("cuda").plan(Graph.parse(ADD), DEVICE, options(**given), None)
        names |= {job.key for job in jobs}
    assert len(names) == 3
    slow = backend_of("cuda").plan(Graph.parse(ADD), DEVICE, options(timeout_s=7.0), None)
    assert {job.key for job in slow} < names
