"""PyTorch's type promotion, without torch: the dtype in which an op computes, from tensors and Python scalars.

Source of the rules: the "torch.dtype" page of PyTorch's documentation (tensor attributes, type promotion).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optima.graph import TensorType

#: dtypes that the kernel route computes with; complex numbers have no kernels
KERNEL_DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip

_SIGNED_RANK = {"bool": 0, "uint8": 1, "int8": 1, "int16": 2, "int32": 3, "int64": 4}
_FLOAT_RANK = {"float16": 1, "bfloat16": 1, "float32": 2, "float64": 3}
_RANGES = {
    "int8": (-(2**7), 2**7 - 1), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1), "uint8": (0, 255),
}  # fmt: skip


def is_float(dtype: str) -> bool:
    """Whether ``dtype`` is a floating-point dtype."""
    return dtype in _FLOAT_RANK


def promote(a: str, b: str) -> str:
    """The smallest dtype that holds both (``torch.promote_types``): uint8 and int8 give int16."""
    if a == b:
        return a
    if is_float(a) and is_float(b):
        if _FLOAT_RANK[a] == _FLOAT_RANK[b]:
            return "float32"
        return max(a, b, key=_FLOAT_RANK.__getitem__)
    if is_float(a) or is_float(b):
        return a if is_float(a) else b
    if {a, b} == {"uint8", "int8"}:
        return "int16"
    return max(a, b, key=_SIGNED_RANK.__getitem__)


def scalar_dtype(value: Any) -> str:
    """The dtype that a Python scalar has before it meets a tensor."""
    if isinstance(value, bool):
        return "bool"
    return "int64" if isinstance(value, int) else "float32"


def result_type(operands: Sequence[TensorType], scalars: Sequence[Any] = ()) -> str:
    """``torch.result_type``: tensors with dimensions outrank 0-d tensors, which outrank Python scalars."""
    dims = [t.dtype for t in operands if t.shape]
    zeros = [t.dtype for t in operands if not t.shape]
    result = ""
    for group in (dims, zeros, [scalar_dtype(s) for s in scalars]):
        result = _combine(result, _promote_all(group))
    return result


def _promote_all(dtypes: Sequence[str]) -> str:
    result = ""
    for dtype in dtypes:
        result = promote(result, dtype) if result else dtype
    return result


def _combine(higher: str, lower: str) -> str:
    """A lower group changes the dtype only where it is of a higher kind (bool < integer < float)."""
    if not higher or not lower:
        return higher or lower
    if is_float(higher):
        return higher
    if higher == "bool" or is_float(lower):
        return promote(higher, lower)
    return higher


def scalar_fits(value: Any, dtype: str) -> bool:
    """Whether a Python scalar converts to ``dtype`` without overflow (floats round or saturate, bool is ``!= 0``)."""
    if is_float(dtype) or dtype == "bool":
        return True
    low, high = _RANGES[dtype]
    return bool(value == value and low <= value <= high)


def wrapped(value: Any, dtype: str) -> Any:
    """A Python integer as an integer ``dtype`` holds it, wrapping; any other value as it is."""
    if dtype not in _RANGES or not isinstance(value, int):
        return value
    low, high = _RANGES[dtype]
    return (int(value) - low) % (high - low + 1) + low


def dtype_reason(operands: Sequence[TensorType], outputs: Sequence[TensorType]) -> str | None:
    """Why the kernel route cannot hold one of these tensors, or None."""
    for t in (*operands, *outputs):
        if t.dtype not in KERNEL_DTYPES:
            return f"{t.dtype} has no kernels"
        if t.numel >= 2**31:
            return f"{t.numel} elements are more than a kernel indexes (2**31 - 1)"
    return None
