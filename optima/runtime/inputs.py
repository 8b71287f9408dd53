"""What users give -> arrays that may be copied into a buffer, or one error with everything that is wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import Problem
from optima.runtime.errors import InputError
from optima.runtime.tensors import Array, TensorInfo


def conform(infos: Sequence[TensorInfo], given: Any) -> list[Array]:
    """One array per input, in order, from an array, a list of arrays, or a dict by label or name.

    Raises InputError listing every input that is missing, unknown, or of another shape or dtype.
    """
    if isinstance(given, Mapping):
        return _checked(infos, *_by_name(infos, given))
    values = list(given) if isinstance(given, list | tuple) else [given]
    problems = []
    if len(values) != len(infos):
        problems.append(Problem("inputs", f"{len(values)} given, {len(infos)} expected"))
    return _checked(infos, dict(enumerate(values[: len(infos)])), problems)


def conform_one(info: TensorInfo, value: Any, *, logical: bool = False) -> Array:
    """``value`` as an array of ``info``'s dtype and shape; ``logical`` means PyTorch's shape, not the
    border's. Raises InputError."""
    return _checked([info], {0: value}, [], logical=logical)[0]


def conform_logical(infos: Sequence[TensorInfo], values: Sequence[Any]) -> list[Array]:
    """One array per input in PyTorch's own shape. Raises InputError."""
    return _checked(infos, dict(enumerate(values)), [], logical=True)


def _by_name(infos: Sequence[TensorInfo], given: Mapping[Any, Any]) -> tuple[dict[int, Any], list[Problem]]:
    places = {t.name: i for i, t in enumerate(infos)} | {t.title: i for i, t in enumerate(infos)}
    values: dict[int, Any] = {}
    problems = []
    for name, value in given.items():
        if name not in places:
            problems.append(Problem(str(name), "the model has no input of this name"))
        elif places[name] in values:
            problems.append(Problem(str(name), "is given twice, by its name and by its label"))
        else:
            values[places[name]] = value
    missing = [t for i, t in enumerate(infos) if i not in values]
    return values, problems + [Problem(t.title, f"is missing: {_wanted(t)}") for t in missing]


def _checked(
    infos: Sequence[TensorInfo], values: Mapping[int, Any], problems: list[Problem], *, logical: bool = False
) -> list[Array]:
    arrays: list[Array] = []
    for index, value in sorted(values.items()):
        info = infos[index]
        array, reason = _array(value, info.dtype.value)
        reason = reason or _mismatch(info, array, info.logical_shape if logical else info.shape)
        if reason:
            problems.append(Problem(info.title, reason))
        arrays.append(array)
    if problems:
        takes = "; ".join(str(t) for t in infos) or "no inputs"
        raise InputError("the inputs do not fit the model", problems=problems, hint=f"it takes {takes}")
    return arrays


def _array(value: Any, dtype: str) -> tuple[Array, str]:
    """The value as an array in native byte order, or the reason why it cannot be one."""
    nothing = np.empty(0)
    if value is None or isinstance(value, str | bytes | Mapping):
        return nothing, f"is a {type(value).__name__}, not an array"
    try:
        array = _of_torch(value, dtype) if _is_torch(value) else np.asarray(value)
    # What another library's __array__ raises is its own; the text is the reason.
    except Exception as error:  # noqa: BLE001
        return nothing, f"cannot be read as an array: {error}"
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return nothing, "has masked elements: fill them first, x.filled(0)"
    if array.dtype.name == "bfloat16" and array.dtype.itemsize == 2:
        array = array.view(np.uint16)  # numpy has no bfloat16 of its own; ml_dtypes has
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array, ""


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _of_torch(tensor: Any, dtype: str) -> Array:
    """A torch tensor's values; torch is not imported: a tensor can only exist where it already was."""
    dense = tensor.detach().cpu()
    torch = sys.modules["torch"]
    if dtype == "bfloat16" and dense.dtype == torch.bfloat16:
        dense = dense.contiguous().view(torch.uint16)
    return np.asarray(dense.resolve_conj().resolve_neg().numpy())


def _mismatch(info: TensorInfo, array: Array, shape: tuple[int, ...]) -> str:
    wanted = info.dtype.numpy
    if array.dtype != wanted:
        bits = " as uint16 bits" if info.dtype.value == "bfloat16" else ""
        fix = f"pass x.astype(np.{wanted.name})" if array.dtype.kind in "biufc" and not bits else "convert it"
        return f"is {array.dtype.name}, and {info.dtype.value}{bits} is expected: {fix}"
    if array.shape != shape:
        layout = f" ({info.layout})" if info.layout and shape == info.shape else ""
        return f"has shape {list(array.shape)}, and {list(shape)}{layout} is expected"
    return ""


def _wanted(info: TensorInfo) -> str:
    return f"{info.dtype.value}{list(info.shape)} is expected"
