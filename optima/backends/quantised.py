"""What the backends of quantising devices share: which tensors they take, samples at a border, the job's key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from devices import DeviceEnum, DeviceRef, OptimaError, Problem, spec_of
from optima.calibration import CalibrationError
from optima.graph import Graph, Tensor
from optima.onnx_export import onnx_answers, to_onnx
from optima.ops.entry import Answer, No
from optima.passes import PassContext
from optima.passes.fold_batchnorm import fold_batchnorm
from optima.quantise import QuantisationError
from optima.tools import Tool, python_package, require
from optima.version import __version__

Array = np.ndarray[Any, Any]

#: what is quantised; other dtypes would need ranges that no sample gives
_QUANTISED = "float32"
#: what becomes that first, without loss
_NARROWER = "float16"
_INSTALL = "in Optima's clone: pip install '.[quantise]'"


#: graph -> its form without half floats, for as long as it lives: ``check``, ``plan`` and ``link`` see one object
_WIDENED: WeakKeyDictionary[Graph, Graph] = WeakKeyDictionary()


def widened(graph: Graph) -> Graph:
    """The graph with float32 for float16: what a device makes integers of. A graph without float16 is given back.

    Every half is a float32, so weights and samples lose nothing; results are rounded to half at a border.
    """
    if not any(tensor.dtype == _NARROWER for tensor in graph.tensors.values()):
        return graph
    if graph not in _WIDENED:
        tensors = {name: _widened_tensor(tensor) for name, tensor in graph.tensors.items()}
        ops = [
            replace(op, attrs={k: _QUANTISED if v == _NARROWER else v for k, v in op.attrs.items()}) for op in graph.ops
        ]
        _WIDENED[graph] = replace(graph, ops=tuple(ops), tensors=tensors)
    return _WIDENED[graph]


def _widened_tensor(tensor: Tensor) -> Tensor:
    if tensor.dtype != _NARROWER:
        return tensor
    value = None if tensor.value is None else tensor.value.astype(_QUANTISED)
    return replace(tensor, type=replace(tensor.type, dtype=_QUANTISED), value=value)


def widened_rows(rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """Samples at a border, as the widened graph takes them."""
    return [{n: a.astype(_QUANTISED) if a.dtype == _NARROWER else a for n, a in row.items()} for row in rows]


def quantising_tools() -> tuple[Tool, Tool]:
    """The packages without which nothing is quantised."""
    return (
        python_package("onnx", "writing models", _INSTALL),
        python_package("onnxruntime", "quantising models, and running them in place of the device", _INSTALL),
    )


def tool_versions(*tools: Tool) -> dict[str, str]:
    """Name -> version of those that were found. Raises ToolMissing for one that is needed and absent."""
    require(*tools)
    return {tool.name: tool.version for tool in tools if tool.found}


def answers(graph: Graph, names: Sequence[str], kind: DeviceEnum, opset: int) -> dict[str, Answer]:
    """Which ops have an ONNX form and compute float32 only, as a quantised model of this kind must."""
    found = onnx_answers(graph, names, opset)
    for name in names:
        reason = _dtype_reason(graph, name, kind)
        if reason:
            found[name] = No(reason)
    return found


def _dtype_reason(graph: Graph, name: str, kind: DeviceEnum) -> str:
    op, taken = graph.op_by_name[name], spec_of(kind).dtypes
    tensors = [graph.tensors[n] for n in (*op.inputs, *op.outputs)]
    for dtype in dict.fromkeys(t.dtype for t in tensors if not t.is_param):
        if dtype not in taken:
            return f"{dtype} is not a dtype of {kind.value}"
        if dtype != _QUANTISED:
            return f"{dtype} cannot be quantised: {kind.value} takes {_QUANTISED} tensors and makes integers of them"
    return ""


def float_model(graph: Graph, opset: int) -> bytes:
    """The ONNX form that is quantised, of a widened graph.

    Batch norms are folded here, where that is exact: Qualcomm's tensor processor rounds their parameters so coarsely
    that 2 dB of one operator case were left (``python -m conformance.devices HEXAGON --simulator htp``).
    """
    return to_onnx(fold_batchnorm(graph, PassContext(lanes=1)), opset)


def border_samples(subgraph: Graph, device: DeviceRef, calibration: Any) -> dict[str, Array]:
    """Input -> array ``[samples, *shape]``, for a widened subgraph.

    Raises CalibrationError: no samples, not finite, or another shape.
    """
    rows = widened_rows(calibration.at(subgraph.inputs, f"{subgraph.name} on {device}"))
    problems = [
        Problem(f"sample_inputs[{k}]", f"gives {row[n].dtype}{list(row[n].shape)} at {n}, an input of {subgraph.name}")
        for k, row in enumerate(rows)
        for n in subgraph.inputs
        if row[n].shape != subgraph.type_of(n).shape or str(row[n].dtype) != subgraph.type_of(n).dtype
    ]
    if problems:
        raise CalibrationError("representative data of another type than the border's", problems=problems)
    return {name: np.stack([row[name] for row in rows]) for name in subgraph.inputs}


def job_key(backend: str, model: bytes, samples: Mapping[str, Array], settings: Mapping[str, Any]) -> str:
    """sha256 (hex) over the model, the samples, and all else that the bytes depend on."""
    digest = hashlib.sha256(f"{backend} {__version__}\n{json.dumps(settings, sort_keys=True)}\n".encode())
    for name, array in samples.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
    return hashlib.sha256(digest.digest() + model).hexdigest()


def border_meta(subgraph: Graph, names: Sequence[str]) -> list[dict[str, Any]]:
    """Name, shape, dtype and layout of border tensors, for the manifest."""
    kinds = {name: subgraph.type_of(name) for name in names}
    return [
        {"name": n, "shape": list(t.shape), "dtype": t.dtype, "layout": "NCHW" if len(t.shape) == 4 else "row-major"}
        for n, t in kinds.items()
    ]


@contextmanager
def step(subgraph: str, name: str) -> Iterator[None]:
    """Errors of one step of a compile job say which step of which subgraph it was; foreign ones become typed."""
    where = f"{subgraph}, step '{name}'"
    try:
        yield
    except OptimaError as error:
        raise type(error)(f"{where}: {error.message}", problems=error.problems, hint=error.hint) from error
    # A quantiser or runtime from outside raises classes of its own, which say nothing to the user.
    except Exception as error:
        raise QuantisationError(
            f"{where}: {type(error).__name__}: {error}",
            hint="map these ops to another device, and report it with the .gpickle and this text",
        ) from error
