"""Runs an op case through torch and through a compiled kernel, and compares every element."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from optima.graph import Graph, TensorType, numpy_dtype
from optima.kernels.lower import lower
from optima.kernels.target import CpuTarget, resolve
from optima.ops.reference import call_reference, to_numpy, to_torch
from tests.ops.case import OpCase

#: the error that half-width storage alone makes, relative to the output's largest magnitude
_STORAGE_TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2}


def check_case(case: OpCase, seed: int = 0) -> None:
    """Assert that the kernel of ``case`` gives torch's answer.

    Shape and dtype must agree, integers and bools be equal, floats have NaN and infinities in the same places
    and lie within the case's tolerance of the output's largest finite magnitude.
    """
    graph = case.graph()
    values = case.values(seed)
    wanted = reference(graph, values)
    actual = run_kernel(graph, values)
    for name, want, got in zip(graph.outputs, wanted, actual, strict=True):
        compare(name, graph.type_of(name), got, want, case.tolerance)


def reference(graph: Graph, values: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """torch's answer, one array per output of a graph of one op."""
    (op,) = graph.ops
    operands = [to_torch(values[n], graph.type_of(n).dtype) for n in op.inputs]
    results = call_reference(op, operands)
    for name, result in zip(op.outputs, results, strict=True):
        assert tuple(result.shape) == graph.type_of(name).shape
    return [to_numpy(r) for r in results]


def compare(
    name: str, kind: TensorType, got: np.ndarray[Any, Any], want: np.ndarray[Any, Any], tolerance: float
) -> None:
    """Assert that two arrays of type ``kind`` agree (bfloat16 as its bits)."""
    assert got.shape == want.shape == kind.shape, f"{name}: shape {got.shape} for {want.shape}"
    assert got.dtype == want.dtype, f"{name}: dtype {got.dtype} for {want.dtype}"
    if not kind.dtype.startswith(("float", "bfloat")):
        np.testing.assert_array_equal(got, want, err_msg=name)
        return
    tolerance = max(tolerance, _STORAGE_TOLERANCE.get(kind.dtype, 0.0))
    wide_got, wide_want = _widened(got, kind.dtype), _widened(want, kind.dtype)
    np.testing.assert_array_equal(np.isnan(wide_got), np.isnan(wide_want), err_msg=f"{name}: NaN positions")
    np.testing.assert_array_equal(
        np.where(np.isinf(wide_got), wide_got, 0.0),
        np.where(np.isinf(wide_want), wide_want, 0.0),
        err_msg=f"{name}: infinities",
    )
    finite = np.isfinite(wide_want)
    if finite.any():
        scale = max(float(np.abs(wide_want[finite]).max()), 1e-30)
        error = float(np.abs(wide_got[finite] - wide_want[finite]).max()) / scale
        assert error <= tolerance, f"{name}: {error:.3g} of the output's scale, allowed {tolerance:.3g}"


def _widened(array: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    if dtype == "bfloat16":
        return (array.astype("uint32") << 16).view("float32").astype("float64")
    return array.astype("float64")


@cache
def host_target() -> CpuTarget:
    """The machine that runs the tests, two cores of it."""
    return resolve(threads=2)


def compile_kernel(graph: Graph) -> Any:
    """The compiled module of a graph, scheduled as the LLVM backend schedules it; its function is ``kernel``."""
    import tvm

    target = host_target()
    return tvm.compile(lower(graph, target), target.tvm_target())


def run_kernel(graph: Graph, values: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """The compiled kernel's answer; outputs without elements never reach a kernel."""
    import tvm

    if all(graph.type_of(n).numel == 0 for n in graph.outputs):
        return [_empty(graph.type_of(n)) for n in graph.outputs]
    inputs = [_device_tensor(values[n], graph.type_of(n)) for n in graph.inputs]
    outputs = [tvm.runtime.empty(graph.type_of(n).shape, graph.type_of(n).dtype) for n in graph.outputs]
    compile_kernel(graph)["kernel"](*inputs, *outputs)
    return [_host_array(t, graph.type_of(n)) for t, n in zip(outputs, graph.outputs, strict=True)]


def _empty(kind: TensorType) -> np.ndarray[Any, Any]:
    return np.empty(kind.shape, numpy_dtype(kind.dtype))


def _device_tensor(array: np.ndarray[Any, Any], kind: TensorType) -> Any:
    import ml_dtypes
    import tvm

    stored = array.view(ml_dtypes.bfloat16) if kind.dtype == "bfloat16" else array
    # Through an allocation of TVM's: kernels rely on 64-byte alignment, which numpy does not give.
    tensor = tvm.runtime.empty(kind.shape, kind.dtype)
    return tensor.copyfrom(np.ascontiguousarray(stored).reshape(kind.shape))


def _host_array(tensor: Any, kind: TensorType) -> np.ndarray[Any, Any]:
    array = np.asarray(tensor.numpy()).reshape(kind.shape)
    return array.view("uint16") if kind.dtype == "bfloat16" else array
