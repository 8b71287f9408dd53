"""From a verified artifact to something that runs: devices, CPU features, then code, in that order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices import DeviceRef, Family, MalformedDevice, Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import ModelMeta, SubgraphMeta
from optima.artifact.reader import LoadedArtifact
from optima.backends import Load, loader_of
from optima.backends.base import LoadEnv
from optima.native import available_cores
from optima.runtime.borders import plan_borders
from optima.runtime.errors import DeviceAbsent
from optima.runtime.lanes import schedule_of
from optima.runtime.presence import available_devices, check_cpu, presence_of
from optima.runtime.session import Loaded, LoadedSubgraph
from torch2nx.errors import ArgumentsError
from torch2nx.pytree import count_inputs, count_outputs


@dataclass(frozen=True, eq=False)
class _Choice:
    """A subgraph with the device and the loader chosen for it."""

    part: SubgraphMeta
    device: DeviceRef
    load: Load
    present: bool


def load_artifact(
    artifact: LoadedArtifact, extensions: Mapping[str, Load], fallback: bool, log: logging.Logger
) -> Loaded:
    """Load every subgraph. ``extensions`` are loaders by backend name that come before the registered ones.

    Raises UnknownBackend, DeviceAbsent or WrongCpu before any code is opened, each with all that it concerns;
    then ArtifactError, and what the backends' loaders raise.
    """
    _check_structures(artifact.meta)
    choices = [_choose(part, extensions) for part in artifact.meta.subgraphs]
    absent = [c for c in choices if not c.present]
    if absent and not fallback:
        here = ", ".join(map(str, available_devices())) or "none"
        raise DeviceAbsent(
            f"{artifact.meta.name} needs devices that are not here",
            problems=[Problem(", ".join(c.part.devices), f"needed by {c.part.name}") for c in absent],
            hint=f"here are {here}: compile with a map to these{_simulators(absent)}",
        )
    check_cpu([c.part for c in choices])
    constants = artifact.constants
    schedule = schedule_of(artifact.meta.subgraphs, [c.device for c in choices])
    plan = plan_borders(artifact.meta, constants, reuse=not schedule.concurrent)
    threads = available_cores()
    parts = []
    for index, choice in enumerate(choices):
        if not choice.present:
            log.warning("%s: %s is absent, a fallback runs instead", choice.part.name, choice.device)
        env = LoadEnv(threads, fallback, log, choice.present)
        executable = choice.load(artifact.subgraph_view(index), choice.device, env)
        parts.append(LoadedSubgraph(choice.part, choice.device, executable, not choice.present))
    return Loaded(artifact.meta, tuple(parts), constants, plan, schedule)


def _simulators(absent: Sequence[_Choice]) -> str:
    """The rest of the hint: only devices beside the CPU have simulators."""
    if all(choice.device.kind.family is Family.CPU for choice in absent):
        return "; another architecture's code has no simulator inside this process"
    return ", or pass fallback=True to run on a simulator"


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


def _choose(part: SubgraphMeta, extensions: Mapping[str, Load]) -> _Choice:
    """The first device of the preference list that is present; the first of all where none is."""
    load = extensions.get(part.backend) or loader_of(part.backend)
    is_present = presence_of(load)
    try:
        devices = [DeviceRef.parse(text) for text in part.devices]
    except MalformedDevice as error:
        raise ArtifactError(f"{part.name}: {error.message}", hint=COMPILE_AGAIN) from None
    present = [device for device in devices if is_present(device, part.target)]
    return _Choice(part, (present or devices)[0], load, bool(present))
