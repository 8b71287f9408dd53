"""Evaluate at compile time every op that no user input reaches; its outputs become parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from devices import InternalError
from optima.graph import Graph, Op, Tensor
from optima.ops.entry import Trait
from optima.ops.evaluate import Array, evaluate
from optima.ops.reference import CudaNeeded
from optima.ops.registry import entry_of
from optima.recipe import derive, frozen, param


def fold_constants(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """The graph without the ops that depend on parameters and constants alone, and the names of those ops.

    Their outputs keep their names and become parameters: with a recipe where the op only reshapes, otherwise
    frozen. An op that reads a parameter without a value stays, as does one of float16 that PyTorch's CPU cannot
    compute, and what depends on them.
    """
    constants: dict[str, Tensor] = {t.name: t for t in graph.params if t.value is not None}
    kept: list[Op] = []
    folded: list[str] = []
    for op in graph.ops:
        results = _results(graph, op, constants)
        if results is None:
            kept.append(op)
        else:
            constants.update((t.name, t) for t in results)
            folded.append(op.name)
    if not folded:
        return graph, ()
    return graph.rebuild(kept, constants.values()), tuple(folded)


def _results(graph: Graph, op: Op, constants: Mapping[str, Tensor]) -> list[Tensor] | None:
    """The op's outputs as constants, or None where it stays: something is unknown, or the CPU has no half kernel."""
    if not all(name in constants for name in op.inputs):
        return None
    try:
        return _evaluate(graph, op, [constants[name] for name in op.inputs])
    except CudaNeeded:  # a CUDA device's result would be another than the next machine's
        return None


def _evaluate(graph: Graph, op: Op, operands: Sequence[Tensor]) -> list[Tensor]:
    entry = entry_of(op.op)
    if entry is not None and entry.has(Trait.RESHAPE) and len(operands) == 1:
        (out,), (source,) = op.outputs, operands
        type_ = graph.type_of(out)
        table = {source.name: source}
        made = derive(table, out, ["reshape", param(source.name), list(type_.shape)], type_)
        return [replace(graph.tensors[out], is_param=True, value=made.value, recipe=made.recipe)]
    results = evaluate(op, [(_value_of(t), t.dtype) for t in operands])
    recipe = frozen(f"computed once by {op.name} ({op.op}), which no input reaches")
    return [
        replace(graph.tensors[name], is_param=True, value=result, recipe=recipe)
        for name, result in zip(op.outputs, results, strict=True)
    ]


def _value_of(tensor: Tensor) -> Array:
    if tensor.value is None:
        raise InternalError(f"the constant {tensor.name!r} has no value")
    return tensor.value
