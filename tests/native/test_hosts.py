"""Optima and TVM's own runtime in one process, in both load orders: each gets its own kernels' errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.native import kernels

OURS = """
import numpy as np
from optima.native import Call, Kernel, KernelFailed, Operand, Program, aligned_empty

data = open(path, "rb").read()
kernel = Kernel.open(data, "__tvm_ffi_add")
good = Operand(aligned_empty((64, 1000), "float32"), "float32")
bad = Operand(aligned_empty((64,), "float32"), "float32")
good.array[:] = 1

def ours():
    global good
    good.array[:] = 1
    Program([good], [Call(kernel, (0, 0, 0))]).run()
    assert (good.array == 2).all()
    for _ in range(3):
        try:
            Program([good, bad], [Call(kernel, (0, 1, 0))]).run()
        except KernelFailed as error:
            assert "Mismatched" in str(error) and "ndim" in str(error), error
        else:
            raise AssertionError("the kernel took a wrong shape")
"""

THEIRS = """
import os, sys
sys.modules["torch"] = None
import tvm, numpy

module = tvm.runtime.load_module(path)

def theirs():
    a, b, c = (tvm.runtime.tensor(numpy.ones((64, 1000), "float32")) for _ in range(3))
    module["add"](a, b, c)
    assert (c.numpy() == 2).all()
    flat = tvm.runtime.tensor(numpy.ones((64,), "float32"))
    for _ in range(3):
        try:
            module["add"](a, flat, c)
        except Exception as error:
            assert "Mismatched" in str(error) and "ndim" in str(error), error
        else:
            raise AssertionError("the kernel took a wrong shape")
"""


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_either_runtime_may_come_first(tmp_path: Path, first: str) -> None:
    path = tmp_path / "add.so"
    path.write_bytes(kernels.add())
    parts = [OURS, THEIRS] if first == "ours" else [THEIRS, OURS]
    code = f"path = {str(path)!r}\n" + "".join(parts) + "for _ in range(3):\n    ours()\n    theirs()\n"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
