"""Small kernels compiled by TVM as the LLVM backend compiles them, for tests of what runs them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def _compile(name: str, build: Callable[[Any], list[Any]], parallel: bool) -> bytes:
    import tvm
    from tvm import te

    function = te.create_prim_func(build(te)).with_attr("global_symbol", name)
    schedule = tvm.s_tir.Schedule(tvm.IRModule({name: function}))
    if parallel:
        for block in schedule.get_child_blocks(schedule.get_sblock("root", func_name=name)):
            schedule.parallel(schedule.get_loops(block)[0])
    built = tvm.compile(schedule.mod, tvm.target.Target({"kind": "llvm"}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.so"
        built.export_library(str(path))
        return path.read_bytes()


@cache
def add(shape: tuple[int, ...] = (64, 1000), name: str = "add", dtype: str = "float32") -> bytes:
    """``c = a + b``, parallel over the first axis."""

    def build(te: Any) -> list[Any]:
        a, b = (te.placeholder(shape, dtype, name=n) for n in "ab")
        return [a, b, te.compute(shape, lambda *i: a[i] + b[i], name="c")]

    return _compile(name, build, parallel=True)


@cache
def scale(shape: tuple[int, ...], factor: float, name: str = "scale", dtype: str = "float32") -> bytes:
    """``b = a * factor``, serial."""

    def build(te: Any) -> list[Any]:
        a = te.placeholder(shape, dtype, name="a")
        return [a, te.compute(shape, lambda *i: a[i] * te.const(factor, dtype), name="b")]

    return _compile(name, build, parallel=False)


@cache
def twice_through_workspace(rows: int = 32, columns: int = 4096) -> bytes:
    """``c = (a + 1) * 2`` with the sum in a workspace that every call allocates."""

    def build(te: Any) -> list[Any]:
        a = te.placeholder((rows, columns), name="a")
        b = te.compute((rows, columns), lambda i, j: a[i, j] + te.const(1, "float32"), name="b")
        return [a, te.compute((rows, columns), lambda i, j: b[i, j] * te.const(2, "float32"), name="c")]

    return _compile("twice", build, parallel=True)


@cache
def invert() -> bytes:
    """``b = not a`` on 16 booleans."""

    def build(te: Any) -> list[Any]:
        from tvm import tirx

        a = te.placeholder((16,), "bool", name="a")
        return [a, te.compute((16,), lambda i: tirx.Not(a[i]), name="b")]

    return _compile("invert", build, parallel=False)


@cache
def fill_beside_nothing(rows: int = 3, name: str = "fill") -> bytes:
    """``b = 1`` of shape [rows, 2], beside an argument of shape [rows, 0] that is never read."""

    def build(te: Any) -> list[Any]:
        a = te.placeholder((rows, 0), name="a")
        return [a, te.compute((rows, 2), lambda i, j: te.const(1, "float32"), name="b")]

    return _compile(name, build, parallel=False)
