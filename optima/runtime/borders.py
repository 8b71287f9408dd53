"""Memory for the tensors between subgraphs: one block per request, reused by lifetime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devices import Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import ModelMeta, TensorMeta
from optima.backends.kernel_route.memory import Lifetime, place
from optima.graph import TensorType, numpy_dtype
from optima.native import aligned_empty, is_aligned, view_at
from optima.runtime.tensors import Array


@dataclass(frozen=True)
class BorderPlan:
    """Where each border tensor of a request lies in its block of ``nbytes`` bytes."""

    tensors: Mapping[str, TensorMeta]
    offsets: Mapping[str, int]
    nbytes: int

    def allocate(self) -> dict[str, Array]:
        """Fresh buffers: dense, 64-byte aligned, in PyTorch's logical shape."""
        block = aligned_empty((self.nbytes,), "uint8")
        return {
            name: view_at(block, offset, self.tensors[name].shape, self.tensors[name].dtype)
            for name, offset in self.offsets.items()
        }


def plan_borders(meta: ModelMeta, constants: Mapping[str, Array], *, reuse: bool = True) -> BorderPlan:
    """The plan for a model. Raises ArtifactError when a subgraph's border is described nowhere, or is read
    before anything makes it.

    Inputs keep their place from the start to the end, so that a second ``infer`` may run on the same inputs;
    outputs from the subgraph that makes them to the end; the rest until the last subgraph that reads them, or, where
    subgraphs run at the same time and not ``reuse``, from the start to the end, too.
    """
    tensors, counts = meta.tensors, [symbol.count for symbol in meta.symbols]
    end = len(meta.subgraphs)
    lives = {t.name: [-1, end] for t in meta.inputs}
    problems = [p for n, a in constants.items() if (p := _constant_problem(n, a, tensors)) is not None]
    final = {t.name for t in (*meta.outputs, *counts)}
    for step, part in enumerate(meta.subgraphs):
        for name in part.inputs:
            if name in lives:
                lives[name][1] = max(lives[name][1], step)
            elif name not in constants:
                problems.append(Problem(name, f"is read by {part.name} before any subgraph makes it"))
        for name in part.outputs:
            if name not in tensors or name in lives:
                problems.append(Problem(name, f"made by {part.name}: described nowhere or made twice"))
            lives[name] = [step, end if name in final else step] if reuse else [-1, end]
    lacking = sorted(final - set(lives) - set(constants))
    problems += [Problem(name, "is an output, or the count of its rows, that nothing makes") for name in lacking]
    if problems:
        raise ArtifactError("model.meta contradicts itself", problems=problems, hint=COMPILE_AGAIN)
    spans = [
        Lifetime(n, TensorType(tensors[n].shape, tensors[n].dtype).nbytes, first, last)
        for n, (first, last) in lives.items()
    ]
    offsets, nbytes = place(spans)
    return BorderPlan(tensors, offsets, nbytes)


def _constant_problem(name: str, array: Array, tensors: Mapping[str, TensorMeta]) -> Problem | None:
    tensor = tensors.get(name)
    fits = is_aligned(array) and (
        tensor is None or (array.shape == tensor.shape and array.dtype == numpy_dtype(tensor.dtype))
    )
    return None if fits else Problem(name, "is a constant of another shape or dtype than its tensor")
