"""The modules that jobs make: valid, the same every time, stripped, with what they ask of a device."""

from __future__ import annotations

import struct

import pytest

import optima
from devices import DeviceEnum
from optima.backends.base import CompileOptions
from optima.backends.spirv.compiler import find_validator, module_of, validate
from optima.backends.spirv.meta import SpirvSubgraph
from optima.backends.spirv.tools import glslang
from optima.backends.spirv.words import BadSpirv, capabilities, cleaned
from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.glsl import Glsl
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget
from optima.ops.entry import No, Yes
from tests.backends.spirv.harness import DEVICE, answers, compiled, needs_compiler

ADD = "graph g(%x: f32[40], %z: f32[40]) -> (%y)\n  %y = add_0: add(%x, %z) : f32[40]\n"
SOFTMAX = "graph g(%x: f32[3,9000]) -> (%y)\n  %y = softmax_0: softmax(%x) {dim=1} : f32[3,9000]\n"


@needs_compiler
def test_bytes_and_meta_are_the_same_every_time() -> None:
    first, second = (compiled(Graph.parse(SOFTMAX)) for _ in range(2))
    assert first.files == second.files and first.meta == second.meta


@needs_compiler
def test_a_module_holds_no_debug_names_and_keeps_its_arithmetic() -> None:
    (module,) = compiled(Graph.parse(ADD)).files.values()
    words = struct.unpack(f"<{len(module) // 4}I", module)
    at, opcodes, marks = 5, [], 0
    while at < len(words):
        opcodes.append(words[at] & 0xFFFF)
        marks += words[at] & 0xFFFF == 71 and words[at + 2] == 42
        at += words[at] >> 16
    assert not {3, 5, 6, 7, 8} & set(opcodes)
    assert marks == opcodes.count(129) == 1


@needs_compiler
def test_the_meta_says_how_to_launch() -> None:
    artifact = compiled(Graph.parse(ADD))
    meta = SpirvSubgraph.model_validate(artifact.meta)
    (kernel,) = meta.kernels
    assert kernel.entry_point == "main" and kernel.threads == (64, 1, 1) and kernel.groups == (1, 1, 1)
    assert [a.access for a in kernel.arguments] == ["read", "read", "write"]
    assert [a.binding for a in kernel.arguments] == [0, 1, 2]
    assert meta.calls[0].args == ("x", "z", "y")
    assert kernel.capabilities == ("Shader",)
    assert set(artifact.produced_by) >= {"optima", "apache-tvm"}


@needs_compiler
def test_int64_is_stated_as_a_capability() -> None:
    text = ADD.replace("f32", "i64")
    meta = SpirvSubgraph.model_validate(compiled(Graph.parse(text)).meta)
    assert "Int64" in meta.kernels[0].capabilities


@needs_compiler
def test_the_validator_is_a_gate() -> None:
    if find_validator() is None:
        pytest.skip("spirv-val is not installed")
    (module,) = compiled(Graph.parse(ADD)).files.values()
    validate(module)
    with pytest.raises(BadSpirv):
        validate(module[:-4])
    with pytest.raises(BadSpirv):
        cleaned(module[:-4] + b"\0\0\0\0")
    assert capabilities(module) == ("Shader",)


@needs_compiler
def test_the_systems_compiler_takes_the_same_text() -> None:
    if not glslang().found:
        pytest.skip("glslangValidator is not installed")
    program = gpu_program(Graph.parse(SOFTMAX), GpuTarget())
    for kernel in source(program, GpuTarget(), Glsl()).kernels:
        assert capabilities(module_of(kernel.text, "glslangValidator")) == ("Shader",)


def test_ops_are_claimed_or_refused_with_a_reason() -> None:
    assert answers(Graph.parse(ADD)) == {"add_0": Yes()}
    assert answers(Graph.parse(ADD.replace("f32", "f64"))) == {"add_0": No("float64 has no SPIR-V form")}
    assert answers(Graph.parse(ADD.replace("f32", "bf16"))) == {"add_0": No("bfloat16 has no SPIR-V form")}


def test_unknown_options_are_listed_together() -> None:
    options = CompileOptions(device_options={"ADRENO": {"flavor": 1, "flavour": "metal", "x": 2}})
    with pytest.raises(optima.SpirvOptionError) as caught:
        answers(Graph.parse(ADD), options)
    assert all(word in str(caught.value) for word in ("flavor", "'metal'", "x"))


def test_the_kernel_flavour_is_refused_with_a_reason() -> None:
    options = CompileOptions(device_options={"ADRENO": {"flavour": "kernel"}})
    with pytest.raises(optima.SpirvOptionError, match="not implemented"):
        answers(Graph.parse(ADD), options)


def test_all_four_kinds_have_the_backend() -> None:
    assert DEVICE.kind is DeviceEnum.DEVICE_KIND_ADRENO
    for kind in ("MALI", "ADRENO", "INTELGPU", "AMDGPU"):
        assert optima.toolchains()[DeviceEnum(kind)].backend == "spirv"
