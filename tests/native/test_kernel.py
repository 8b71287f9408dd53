"""Opening kernels: right ones fast, wrong ones with a reason, nothing with a crash."""

from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from optima.native import Call, Kernel, KernelRefused, Operand, Program, aligned_empty
from tests.native import kernels

SYMBOL = "__tvm_ffi_add"


@pytest.fixture(scope="module")
def data() -> bytes:
    return kernels.add()


def compiled(tmp_path: Path, source: str) -> bytes:
    (tmp_path / "k.c").write_text(source)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "k.so", tmp_path / "k.c"], check=True, cwd=tmp_path)
    return (tmp_path / "k.so").read_bytes()


def end_of_segments(data: bytes) -> int:
    """Bytes that loading reads: up to the end of the last loadable segment (elf.h)."""
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    headers = [struct.unpack_from("<IIQQQQQQ", data, start + 56 * i) for i in range(count)]
    return max(offset + size for kind, _, offset, _, _, size, _, _ in headers if kind == 1)


def test_a_cut_off_kernel_is_refused_at_every_length(data: bytes) -> None:
    """At most of these lengths dlopen() itself would end in SIGBUS."""
    end = end_of_segments(data)
    assert end < len(data)
    for length in [*range(128), *range(128, end, 97), end - 1]:
        with pytest.raises(KernelRefused, match="short|cut off"):
            Kernel.open(data[:length], SYMBOL)
    Kernel.open(data[:end], SYMBOL)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: b"", "too short"),
        (lambda d: b"#!/bin/sh\n" * 100, "not an ELF"),
        (lambda d: d[:18] + b"\xf3\x00" + d[20:], "another kind of CPU"),  # e_machine: RISC-V
        (lambda d: d[:4] + b"\x01" + d[5:], "another kind of CPU"),  # 32-bit
        (lambda d: d[:16] + b"\x01\x00" + d[18:], "not a shared object"),  # an object file
        (lambda d: d[:54] + b"\x00\x00" + d[56:], "malformed"),  # size of a program header
        (lambda d: d[:56] + b"\xff\xff" + d[58:], "cut off"),  # number of program headers
    ],
)
def test_what_is_no_shared_object_for_this_machine_is_refused(data: bytes, edit, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KernelRefused, match=reason):
        Kernel.open(edit(data), SYMBOL)


def test_a_missing_symbol_and_a_missing_import_are_named(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(KernelRefused, match="no symbol __tvm_ffi_sub"):
        Kernel.open(data, "__tvm_ffi_sub")
    with pytest.raises(KernelRefused, match="no symbol was named"):
        Kernel.open(data, "")
    source = "int nobody_has_this(void); int __tvm_ffi_k(void) { return nobody_has_this(); }"
    with pytest.raises(KernelRefused, match="nobody_has_this"):
        Kernel.open(compiled(tmp_path, source), "__tvm_ffi_k")


def test_a_kernel_without_hooks_runs(tmp_path: Path) -> None:
    source = """
#include <stdint.h>
int __tvm_ffi_k(void *self, const void *args, int32_t count, void *result) { return count == 1 ? 0 : -1; }
"""
    kernel = Kernel.open(compiled(tmp_path, source), "__tvm_ffi_k")
    Program([Operand(aligned_empty((1,), "int8"), "int8")], [Call(kernel, (0,))]).run()


def test_a_thousand_kernels_open_in_a_second(data: bytes) -> None:
    start = time.monotonic()
    opened = [Kernel.open(data, SYMBOL) for _ in range(1000)]
    elapsed = time.monotonic() - start
    a, b, c = (aligned_empty((64, 1000), "float32") for _ in range(3))
    a[:], b[:], c[:] = 1, 2, 0
    Program([Operand(x, "float32") for x in (a, b, c)], [Call(opened[-1], (0, 1, 2))]).run()
    assert (c == 3).all()
    assert elapsed < 1


def test_each_open_has_its_own_bytes_although_descriptors_repeat(tmp_path: Path) -> None:
    """The dynamic linker takes equal paths for equal libraries; every kernel here comes by descriptor N."""
    x, y = aligned_empty((8,), "float32"), aligned_empty((8,), "float32")
    x[:] = 1
    opened = [Kernel.open(kernels.scale((8,), float(f)), "__tvm_ffi_scale") for f in (2, 3, 5)]
    for kernel, factor in zip(opened, (2, 3, 5), strict=True):
        Program([Operand(x, "float32"), Operand(y, "float32")], [Call(kernel, (0, 1))]).run()
        np.testing.assert_array_equal(y, np.full(8, factor, np.float32))


def test_a_kernel_is_unmapped_when_nothing_refers_to_it(data: bytes) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count("optima-kernel")

    before = mapped()
    kernel = Kernel.open(data, SYMBOL)
    assert mapped() > before
    del kernel
    assert mapped() == before
