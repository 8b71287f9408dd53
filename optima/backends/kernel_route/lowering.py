"""What the routes by kernels share: lowered subgraphs, an op's answer, constants that kernels read, dumps of passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from devices import InternalError
from optima.backends.base import Constant, Job
from optima.backends.kernel_route.meta import ConstantMeta
from optima.backends.kernel_route.storage import Storage
from optima.graph import Graph, Op
from optima.kernels.compute import ComputeError, faults_of
from optima.kernels.naming import canonical
from optima.ops.entry import Answer, No, OpView, Yes
from optima.ops.registry import entry_of, is_registered
from optima.passes import OnPass, groups_of


@dataclass(frozen=True)
class Lowered:
    """A subgraph after its passes: the graph, its groups that have a kernel, its aliases, and the jobs."""

    graph: Graph
    calls: tuple[tuple[Op, ...], ...]
    aliases: tuple[Op, ...]
    jobs: tuple[Job, ...]

    @classmethod
    def of(cls, graph: Graph, job_of: Callable[[Graph, tuple[Op, ...]], Job]) -> Lowered:
        """A graph after its passes. ``job_of``: the job of a group in canonical form, given its ops."""
        calls: list[tuple[Op, ...]] = []
        aliases: list[Op] = []
        jobs: list[Job] = []
        for group, ops in groups_of(graph):
            if not group:
                aliases.extend(ops)
                continue
            jobs.append(job_of(canonical(graph.extract(group, ops)), ops))
            calls.append(ops)
        return cls(graph, tuple(calls), tuple(aliases), tuple(jobs))

    @property
    def names(self) -> tuple[str, ...]:
        """The kernel of each group: its job's label."""
        return tuple(job.label for job in self.jobs)

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """See ``constants_of``."""
        return constants_of(self.graph, self.calls)

    @property
    def weight_keys(self) -> dict[str, str]:
        """The entry in the weights file of each constant, by its name."""
        return {c.name: c.key for c in self.constants}

    def plan_fields(self, name: str, storage: Storage) -> dict[str, Any]:
        """What every ``PlannedSubgraph`` called ``name`` has of this one, where its tensors lie in ``storage``."""
        return {
            "name": name,
            "inputs": self.graph.inputs,
            "outputs": self.graph.outputs,
            "copies": storage.copies,
            "buffers": storage.buffers,
            "constants": tuple(ConstantMeta(name=c.name, key=c.key, recipe=c.recipe) for c in self.constants),
            "arena_bytes": storage.arena_bytes,
        }


def kernel_job(
    key: str, function: str, payload: Mapping[str, Any], *, label: str, ops: Sequence[Op], preflight: str
) -> Job:
    """A group's job, which says where in the user's model the first of its ops comes from."""
    origin = next((o for op in ops for o in op.origins), None)
    return Job(
        key,
        function,
        payload,
        label=label,
        ops=tuple(op.name for op in ops),
        where=str(origin) if origin else "",
        code=origin.code if origin else "",
        preflight=preflight,
    )


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
