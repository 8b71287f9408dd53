"""Programs: checked when built, run by one call, errors with the kernel's own words."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from devices import InternalError
from optima.native import Call, Kernel, KernelFailed, Operand, Program, aligned_empty, is_aligned
from optima.native.library import library
from tests.native import kernels

SHAPE = (64, 1000)


@pytest.fixture(scope="module")
def add() -> Kernel:
    return Kernel.open(kernels.add(SHAPE), "__tvm_ffi_add")


def operand(value: float, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> Operand:
    array = aligned_empty(shape, dtype)
    array[...] = value
    return Operand(array, dtype)


def test_calls_run_in_order_and_in_part(add: Kernel) -> None:
    a, b = operand(1), operand(2)
    program = Program([a, b], [Call(add, (0, 1, 0)), Call(add, (0, 1, 1))])
    assert len(program) == 2
    program.run()
    assert (a.array[0, 0], b.array[0, 0]) == (3, 5)
    program.run(first=1, count=1)
    assert (a.array[0, 0], b.array[0, 0]) == (3, 8)
    program.run(first=2)
    program.run(count=0)
    assert (a.array[0, 0], b.array[0, 0]) == (3, 8)


@pytest.mark.parametrize(("first", "count"), [(0, 3), (-1, 1), (3, 0), (1, 2), (0, -1), (2**31 - 1, 1)])
def test_a_range_outside_the_program_is_refused(add: Kernel, first: int, count: int) -> None:
    program = Program([operand(1)], [Call(add, (0, 0, 0))] * 2)
    with pytest.raises(InternalError, match="no calls"):
        program.run(first, count)


def test_each_call_is_timed(add: Kernel) -> None:
    program = Program([operand(1)], [Call(add, (0, 0, 0))] * 3)
    elapsed = np.zeros(3, np.int64)
    program.run(elapsed_ns=elapsed)
    assert (elapsed > 0).all()
    with pytest.raises(InternalError, match="3 int64"):
        program.run(elapsed_ns=np.zeros(2, np.int64))
    with pytest.raises(InternalError, match="int64"):
        program.run(elapsed_ns=np.zeros(3, np.int32))


def test_an_operand_without_elements_has_the_strides_that_kernels_check() -> None:
    kernel = Kernel.open(kernels.fill_beside_nothing(), "__tvm_ffi_fill")
    out = operand(0, (3, 2))
    Program([operand(0, (3, 0)), out], [Call(kernel, (0, 1))]).run()
    assert (out.array == 1).all()


def test_a_kernels_own_message_and_the_call_come_out(add: Kernel) -> None:
    good, flat = operand(1), operand(1, (64000,))
    program = Program([good, flat], [Call(add, (0, 0, 0)), Call(add, (0, 1, 0))])
    with pytest.raises(KernelFailed, match=r"__tvm_ffi_add failed in call 1.*ndim") as error:
        program.run()
    assert error.value.call == 1
    program.run(0, 1)
    few = Program([good], [Call(add, (0, 0))])
    with pytest.raises(KernelFailed, match="Expected 3 arguments"):
        few.run()


def test_wrong_dtypes_are_refused_by_the_kernel(add: Kernel) -> None:
    with pytest.raises(KernelFailed, match="dtype"):
        Program([operand(1), operand(1, dtype="int32")], [Call(add, (0, 1, 0))]).run()


@pytest.mark.parametrize("args", [(0, 1), (-1,), (2**31 - 1,)])
def test_an_argument_that_no_operand_is_is_refused(add: Kernel, args: tuple[int, ...]) -> None:
    with pytest.raises(InternalError, match="names tensor"):
        Program([operand(1)], [Call(add, args)])


def bad_arrays() -> dict[str, np.ndarray[Any, Any]]:
    good = aligned_empty(SHAPE, "float32")
    return {
        "misaligned": aligned_empty((17,), "float32")[1:],
        "strided": good[:, ::2],
        "transposed": good.T,
        "swapped": good.view(">f4"),
        "another dtype": aligned_empty(SHAPE, "float64"),
    }


@pytest.mark.parametrize("name", bad_arrays())
def test_an_operand_that_kernels_cannot_take_is_refused(name: str) -> None:
    with pytest.raises(InternalError, match="operand must be"):
        Program([Operand(bad_arrays()[name], "float32")], [])


def test_every_dtype_and_rank_can_be_described() -> None:
    dtypes = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    shapes = ((), (0,), (3, 0, 2), (1,) * 32)
    Program([Operand(aligned_empty(s, d), d) for s in shapes for d in (*dtypes, "complex64")], []).run()


def test_booleans_and_workspaces() -> None:
    invert = Kernel.open(kernels.invert(), "__tvm_ffi_invert")
    x, y = operand(0, (16,), "bool"), operand(0, (16,), "bool")
    x.array[::3] = True
    Program([x, y], [Call(invert, (0, 1))]).run()
    np.testing.assert_array_equal(y.array, ~x.array)
    data = kernels.twice_through_workspace()
    assert b"__TVMBackendAllocWorkspace" in data
    twice = Kernel.open(data, "__tvm_ffi_twice")
    a, c = operand(3, (32, 4096)), operand(0, (32, 4096))
    Program([a, c], [Call(twice, (0, 1))] * 3).run()
    assert (c.array == 8).all()


def test_workspaces_are_aligned_reused_and_refused_when_absurd() -> None:
    # A thread of its own: the cache is per thread, and this one's may be full of earlier tests' blocks.
    with ThreadPoolExecutor(1) as fresh:
        fresh.submit(_use_workspaces).result()


def _use_workspaces() -> None:
    lib = library()
    sizes = [0, 1, 63, 64, 65, 4096, 1 << 20, 80 << 20]
    blocks = [lib.optima_alloc_workspace(1, 0, size, 2, 32) for size in sizes]
    assert all(block % 64 == 0 for block in blocks) and len(set(blocks)) == len(blocks)
    for block in blocks:
        lib.optima_free_workspace(1, 0, block)
    again = lib.optima_alloc_workspace(1, 0, 4096, 2, 32)
    assert again in blocks
    lib.optima_free_workspace(1, 0, again)
    assert lib.optima_alloc_workspace(1, 0, 2**63, 2, 32) is None
    assert lib.optima_alloc_workspace(1, 0, 2**64 - 1, 2, 32) is None
    assert lib.optima_free_workspace(1, 0, None) == 0


def test_a_thread_that_used_workspaces_ends_cleanly() -> None:
    def work() -> None:
        block = library().optima_alloc_workspace(1, 0, 4096, 2, 32)
        library().optima_free_workspace(1, 0, block)

    for _ in range(20):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def test_a_program_keeps_what_it_uses_alive() -> None:
    x = operand(1, (8,))
    program = Program([x], [Call(Kernel.open(kernels.scale((8,), 2.0), "__tvm_ffi_scale"), (0, 0))])
    program.run()
    assert (x.array == 2).all()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (1 << 14,), (1 << 20, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "int64"])
def test_aligned_arrays_are_aligned(shape: tuple[int, ...], dtype: str) -> None:
    array = aligned_empty(shape, dtype)
    assert array.shape == shape and is_aligned(array)
    assert array.nbytes < 1 << 16 or array.ctypes.data % 4096 == 0
    assert not is_aligned(np.zeros((8, 8), np.float32).T)
