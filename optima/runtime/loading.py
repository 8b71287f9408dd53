"""From a verified artifact to something that runs: devices, CPU features, then code, in that order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from devices import DeviceRef, Family, Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import ModelMeta, SubgraphMeta, TransferMeta
from optima.artifact.reader import LoadedArtifact
from optima.backends import Load
from optima.backends.base import LoadEnv
from optima.native import available_cores
from optima.runtime.borders import plan_borders
from optima.runtime.choice import Candidate, candidates_of, load_first
from optima.runtime.errors import DeviceAbsent
from optima.runtime.lanes import schedule_of
from optima.runtime.presence import available_devices, check_cpu
from optima.runtime.session import Loaded, LoadedSubgraph
from torch2nx.errors import ArgumentsError
from torch2nx.pytree import count_inputs, count_outputs


def load_artifact(
    artifact: LoadedArtifact,
    extensions: Mapping[str, Load],
    fallback: bool,
    log: logging.Logger,
    *,
    simulate: bool = False,
) -> Loaded:
    """Load every subgraph. ``extensions`` are loaders by backend name that come before the registered ones.

    Raises UnknownBackend, DeviceAbsent or WrongCpu before any code is opened, each with all that it concerns;
    then ArtifactError, and what the backends' loaders raise.
    """
    _check_structures(artifact.meta)
    choices = [candidates_of(part, extensions, fallback, simulate) for part in artifact.meta.subgraphs]
    _refuse_absent(artifact.meta, choices)
    check_cpu([(c.part.name, c.form, c.device) for c, *others in choices if not others])
    env = LoadEnv(available_cores(), fallback or simulate, log)
    parts = tuple(load_first(ways, artifact, index, env) for index, ways in enumerate(choices))
    constants = artifact.constants
    schedule = schedule_of(artifact.meta.subgraphs, [part.computes_on for part in parts])
    plan = plan_borders(artifact.meta, constants, reuse=not schedule.concurrent)
    return Loaded(artifact.meta, parts, constants, plan, schedule, _transfers(artifact.meta, parts))


def _refuse_absent(meta: ModelMeta, choices: Sequence[Sequence[Candidate]]) -> None:
    absent = [part for part, ways in zip(meta.subgraphs, choices, strict=True) if not ways]
    if not absent:
        return
    here = ", ".join(map(str, available_devices())) or "none"
    raise DeviceAbsent(
        f"{meta.name} needs devices that are not here",
        problems=[Problem(", ".join(part.devices), f"needed by {part.name}") for part in absent],
        hint=f"here are {here}: compile with a map to these{_simulators(absent)}",
    )


def _simulators(absent: Sequence[SubgraphMeta]) -> str:
    """The rest of the hint: only devices beside the CPU have something that stands in."""
    if all(DeviceRef.parse(text).kind.family is Family.CPU for part in absent for text in part.devices):
        return "; another architecture's code has no simulator inside this process"
    return ", or pass fallback=True to run on a simulator, or on the CPU"


def _transfers(meta: ModelMeta, parts: Sequence[LoadedSubgraph]) -> tuple[TransferMeta, ...]:
    """The manifest's transfers with the kind that they have between the devices chosen here."""
    on_cpu = {part.meta.name: part.computes_on.kind.family is Family.CPU for part in parts}
    kinds: list[Literal["alias", "copy"]] = [
        "alias" if on_cpu[t.source] and on_cpu[t.target] else "copy" for t in meta.transfers
    ]
    return tuple(t.model_copy(update={"kind": kind}) for t, kind in zip(meta.transfers, kinds, strict=True))


def _check_structures(meta: ModelMeta) -> None:
    """Raise ArtifactError unless the arguments and the result hold as many tensors as the model has."""
    problems = []
    for key, count, text, tensors in (
        ("in_tree", count_inputs, meta.in_tree, meta.inputs),
        ("out_tree", count_outputs, meta.out_tree, meta.outputs),
    ):
        try:
            number = count(text)
        except (ArgumentsError, RecursionError) as error:
            problems.append(Problem(key, str(error).partition("\n")[0]))
        else:
            if number != len(tensors):
                problems.append(Problem(key, f"holds {number} tensors, and the model has {len(tensors)}"))
    if problems:
        raise ArtifactError("model.meta contradicts itself", problems=problems, hint=COMPILE_AGAIN)
