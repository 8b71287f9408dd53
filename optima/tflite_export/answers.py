"""Which ops of a graph can be written as TFLite and quantised, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optima.graph import Graph, Op, TensorType
from optima.ops.entry import Answer, No, OpView, Tflite, Trait
from optima.ops.registry import entry_of

#: more axes than this are beyond several of TFLite's int8 kernels; what only moves elements merges axes
_MOST_AXES, _MOST_AXES_OF_VIEWS = 5, 6


def tflite_answers(graph: Graph, names: Sequence[str], device: str) -> dict[str, Answer]:
    """An answer for each op of ``names``; ``device`` is the word for it in reasons."""
    ops = graph.op_by_name
    return {name: answer(graph, ops[name], device) for name in names}


def answer(graph: Graph, op: Op, device: str) -> Answer:
    """Whether one op can be written: float32 tensors, and parameters where the form needs their data."""
    entry = entry_of(op.op)
    if entry is None:
        return No(f"there is no operator {op.op!r}")
    computed = [n for n in op.inputs if not graph.tensors[n].is_param]
    most = _MOST_AXES_OF_VIEWS if entry.has(Trait.VIEW) else _MOST_AXES
    for name in (*computed, *op.outputs):
        reason = _type_reason(graph.type_of(name), device, most)
        if reason:
            return No(reason)
    for name in op.inputs:
        if graph.type_of(name).dtype not in ("float32", "float64"):
            return No(f"a parameter of {graph.type_of(name).dtype}")
    if any(isinstance(v, float) and not np.isfinite(v) for v in op.attrs.values()):
        return No("a number that is not finite cannot be quantised")
    found = entry.tflite_answer(OpView.of(graph, op))
    if not found or not isinstance(entry.tflite, Tflite):
        return found
    for role, tensor in zip(op.roles, op.inputs, strict=True):
        if role.split(".")[0] in entry.tflite.constants and not graph.tensors[tensor].is_param:
            return No(f"{role} of {op.op} is computed: its TFLite form needs a parameter there")
        batch = graph.tensors[tensor].is_param and len(graph.type_of(tensor).shape) > 2
        if role in entry.tflite.computed and batch:
            return No("a batch of constant matrices: the quantiser takes its scales along the wrong axis")
    if not computed:
        return No("nothing that is computed goes in")
    return found


def _type_reason(kind: TensorType, device: str, most: int) -> str | None:
    if kind.dtype != "float32":
        return f"{kind.dtype} is not a dtype of {device}"
    if kind.numel == 0:
        return "a tensor without elements has no TFLite form"
    if not kind.shape:
        return "a 0-d tensor has no TFLite form here"
    return f"{len(kind.shape)} axes: {device} takes {most} there" if len(kind.shape) > most else None
