"""What the routes by kernels share: lowered subgraphs, an op's answer, constants that kernels read, dumps of passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from devices import InternalError
from optima.backends.base import Constant, Job
from optima.graph import Graph, Op
from optima.kernels.compute import ComputeError, faults_of
from optima.ops.entry import Answer, No, OpView, Yes
from optima.ops.registry import entry_of, is_registered
from optima.passes import OnPass


@dataclass(frozen=True)
class Lowered:
    """A subgraph after its passes: the graph, its groups that have a kernel, its aliases, and the jobs."""

    graph: Graph
    calls: tuple[tuple[Op, ...], ...]
    names: tuple[str, ...]
    aliases: tuple[Op, ...]
    jobs: tuple[Job, ...]


def dumper(subgraph: Graph, folder: str) -> OnPass | None:
    """Writes ``<folder>/<subgraph>/<number>_<pass>.txt`` after each pass; number 00 is what came in."""
    if not folder:
        return None
    place = Path(folder) / subgraph.name
    place.mkdir(parents=True, exist_ok=True)
    numbers = count(1)

    def dump(name: str, before: Graph, after: Graph, seconds: float) -> None:
        number = next(numbers)
        if number == 1:
            (place / "00_traced.txt").write_text(before.dump())
        (place / f"{number:02}_{name}.txt").write_text(after.dump())

    return dump


def answer_of(graph: Graph, op: Op) -> Answer:
    """Whether the op's kernel route takes it as it stands."""
    entry = entry_of(op.op)
    if entry is None:
        return No(f"there is no operator {op.op!r}")
    view = OpView.of(graph, op)
    if all(t.numel == 0 for t in view.outputs):
        return Yes()  # nothing to compute: no kernel is made
    try:
        return entry.kernel_answer(view)
    except Exception as error:
        if not is_registered(op.op):
            raise
        return No(f"the refuse of {op.op} raises {type(error).__name__}: {error}")


def try_own(graph: Graph, ops: Sequence[Op]) -> None:
    """Raise ComputeError, naming all of them, for the user's own operators whose compute fails."""
    own = [op for op in ops if is_registered(op.op) and any(graph.type_of(n).numel for n in op.outputs)]
    problems = [p for op in own if (entry := entry_of(op.op)) is not None for p in faults_of(entry, graph, op)]
    if problems:
        raise ComputeError(
            f"{len(problems)} of your own operators cannot be computed",
            problems=problems,
            hint="compute(view, tensors) returns a list of te.Tensor of the types in view.outputs",
        )


def constants_of(graph: Graph, calls: Sequence[tuple[Op, ...]]) -> tuple[Constant, ...]:
    """Every parameter that ``calls``, or an alias, reads. Raises InternalError for one without a value."""
    found: dict[str, Constant] = {}
    needed = [n for ops in calls for op in ops for n in op.inputs]
    outputs_of_aliases = [n for op in graph.ops if not op.kernel for n in op.inputs]
    for name in (*needed, *outputs_of_aliases):
        tensor = graph.tensors[name]
        if not tensor.is_param or name in found:
            continue
        if tensor.value is None:
            raise InternalError(f"parameter {name!r} ({tensor.source}) has no value")
        recipe = tensor.recipe if tensor.recipe is not None else ["param", tensor.source]
        found[name] = Constant(name, tensor.value, tensor.dtype, recipe)
    return tuple(found.values())
