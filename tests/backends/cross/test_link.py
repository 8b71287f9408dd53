"""Linking for another CPU: what a kernel's file asks for and shows, and what is said where no linker is."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.qemu import SOURCES
from devices import DeviceEnum
from optima.kernels.build import compile_kernel, object_code
from optima.kernels.cpu_kinds import BASELINES, is_native, target_of
from optima.kernels.cross import link as link_module
from optima.kernels.cross import linker
from optima.kernels.cross.elf import imports_of, machine_of
from optima.kernels.cross.imports import BUILTINS
from optima.kernels.errors import LinkError
from optima.kernels.naming import canonical
from optima.native import Kernel
from optima.tools import Tool, ToolMissing
from tests.kernels.harness import one_op
from tests.ops.case import Arg, OpCase

KINDS = ("ARM64", "ARM", "X86")

needs_zig = pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed")


def architecture(kind: str) -> str:
    return BASELINES[DeviceEnum(kind)].triple.split("-")[0]


def payload(kind: str, group: Any) -> dict[str, Any]:
    target = target_of(DeviceEnum(kind), "", {}).to_dict()
    return {"name": "kernel_1", "group": canonical(group).dump(), "target": target}


def division() -> Any:
    return OpCase("floor_divide", (Arg("self", (5,), "int64"), Arg("other", (5,), "int64", "nonzero"))).graph()


@needs_zig
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_of_its_machine_and_the_same_each_time(kind: str) -> None:
    made = compile_kernel(payload(kind, one_op("sinh", {"self": (3, 5)})))
    assert machine_of(made) == architecture(kind)
    assert imports_of(made) == ("TVMFFIErrorSetRaisedFromCStrParts", "sinhf")
    assert b"libm.so.6\0" in made and b"libc.so.6\0" not in made
    assert b"__tvm_ffi_kernel_1\0" in made and b"__extendhfsf2" not in made
    assert str(Path.cwd()).encode() not in made and b"optima-" not in made
    assert compile_kernel(payload(kind, one_op("sinh", {"self": (3, 5)}))) == made


@needs_zig
@pytest.mark.parametrize("kind", KINDS)
def test_missing_instructions_are_linked_in(kind: str) -> None:
    assert not BUILTINS & set(imports_of(compile_kernel(payload(kind, division()))))


@pytest.mark.parametrize("kind", KINDS)
def test_debians_gcc_links_where_ziglang_is_absent(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gcc = linker.ARCHITECTURES[architecture(kind)].gcc
    if shutil.which(gcc) is None:
        pytest.skip(f"{gcc} is not installed")
    monkeypatch.setattr(linker, "python_package", lambda *a, **k: Tool(*a, **k))
    assert linker.find_linker(architecture(kind)).name == gcc
    made = compile_kernel(payload(kind, division()))
    assert machine_of(made) == architecture(kind)
    assert not BUILTINS & set(imports_of(made))


@needs_zig
@pytest.mark.skipif(not is_native("x86_64"), reason="the file is opened on this machine")
def test_x64_from_another_machine_opens_here() -> None:
    target = target_of(DeviceEnum.DEVICE_KIND_X64, "x86-64-v2", {})
    code = object_code(canonical(one_op("sinh", {"self": (3, 5)})), target, "kernel_1")
    made = link_module.cross_link(code, "x86_64")
    assert machine_of(made) == "x86_64"
    assert Kernel.open(made, "__tvm_ffi_kernel_1").symbol == "__tvm_ffi_kernel_1"


def test_no_linker_names_both_ways_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linker, "python_package", lambda *a, **k: Tool(*a, **k))
    monkeypatch.setattr(linker, "program", lambda *a, **k: Tool(*a, **k))
    assert linker.linker_version("aarch64") == {}
    with pytest.raises(ToolMissing, match="aarch64-linux-gnu") as error:
        linker.find_aarch64_linker()
    assert "[cross]" in error.value.hint and "gcc-aarch64-linux-gnu" in error.value.hint
    assert not any(tool.optional for tool in linker.linker_tools("aarch64"))


def test_either_linker_makes_the_other_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*given: str, optional: bool = False) -> Tool:
        return Tool(*given, version="1", optional=optional)

    monkeypatch.setattr(linker, "python_package", lambda *a, **k: Tool(*a, **k))
    monkeypatch.setattr(linker, "program", found)
    assert [tool.optional for tool in linker.linker_tools("armv7a")] == [True, False]
    monkeypatch.setattr(linker, "python_package", found)
    assert [tool.optional for tool in linker.linker_tools("armv7a")] == [True, True]


@needs_zig
def test_a_name_that_no_host_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.c").write_text("extern int tell_the_moon(void); int __tvm_ffi_k(void) { return tell_the_moon(); }")
    found = linker.find_linker("aarch64")
    subprocess.run([*found.compile, "-fPIC", "-c", "k.c"], cwd=tmp_path, check=True)
    with pytest.raises(LinkError, match="tell_the_moon"):
        link_module.cross_link((tmp_path / "k.o").read_bytes(), "aarch64")


#: docs/kernel_abi.md, "DLTensor": data, ndim, dtype code, shape, strides, byte offset, size
_LAYOUTS = {
    "aarch64": (0, 16, 20, 24, 32, 40, 48),
    "armv7a": (0, 12, 16, 20, 24, 32, 40),
    "i686": (0, 12, 16, 20, 24, 28, 36),
}


@needs_zig
@pytest.mark.parametrize("name", _LAYOUTS)
def test_a_tensor_lies_as_the_page_says(name: str, tmp_path: Path) -> None:
    fields = ("data", "ndim", "code", "shape", "strides", "byte_offset")
    *offsets, size = _LAYOUTS[name]
    lines = [f'_Static_assert(offsetof(DLTensor, {f}) == {o}, "{f}");' for f, o in zip(fields, offsets, strict=True)]
    lines += [f'_Static_assert(sizeof(DLTensor) == {size} && sizeof(Any) == 16, "size");']
    (tmp_path / "layout.c").write_text("\n".join(['#include "host.h"', "#include <stddef.h>", *lines]) + "\n")
    run = linker.find_linker(name).compile
    (wheel,) = importlib.util.find_spec("ziglang").submodule_search_locations  # type: ignore[union-attr,misc]
    flags = ["-std=c11", "-ffreestanding", "-nostdinc", f"-I{wheel}/lib/include", f"-I{SOURCES}", "-fsyntax-only"]
    subprocess.run([*run, *flags, "layout.c"], cwd=tmp_path, check=True)
