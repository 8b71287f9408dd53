"""Which form of a subgraph runs, and on what: the first device of its list that is here, else what may stand in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices import DeviceRef, Family, MalformedDevice, OptimaError, Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import FormMeta, SubgraphMeta
from optima.artifact.reader import LoadedArtifact
from optima.backends import Load, UnknownBackend, loader_of
from optima.backends.base import LoadEnv
from optima.runtime.errors import DeviceAbsent, WrongCpu
from optima.runtime.presence import check_cpu, presence_of
from optima.runtime.session import LoadedSubgraph
from optima.tools import NotUsableHere


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to run a subgraph: a form and the device it is for. ``present``: the device is here, else its backend
    is asked for a simulator. ``stands_in``: the CPU's form, in place of every device of the list."""

    part: SubgraphMeta
    form: FormMeta
    device: DeviceRef
    load: Load
    present: bool
    stands_in: bool = False

    @property
    def is_own(self) -> bool:
        """A device of the list, which is here."""
        return self.present and not self.stands_in


def candidates_of(
    part: SubgraphMeta, extensions: Mapping[str, Load], fallback: bool, simulate: bool = False
) -> list[Candidate]:
    """The ways to run a subgraph here, best first; ``extensions`` are loaders that come before the registered ones.

    First the devices of its list that are here, in the list's order; with ``simulate`` every device of the list in its
    order, here or simulated. With ``fallback`` then the simulators of the
    absent GPUs and NPUs, the CPU's form, and last code for another CPU, which can only be refused. Raises
    ArtifactError for a malformed device, UnknownBackend where no form has a backend.
    """
    found: list[Candidate] = []
    unknown: list[UnknownBackend] = []
    pairs = [(part.form_for(text), text, False) for text in part.devices]
    if part.fallback and (fallback or simulate):
        pairs += [(part.fallback, text, True) for text in part.fallback.devices[:1]]
    for form, text, stands_in in pairs:
        device = _parse(part, text)
        try:
            load = extensions.get(form.backend) or loader_of(form.backend)
        except UnknownBackend as error:
            unknown.append(error)
            continue
        found.append(Candidate(part, form, device, load, presence_of(load)(device, form.target), stands_in))
    if not found:
        raise unknown[0]
    if simulate:
        return found
    return sorted((c for c in found if fallback or c.present), key=_rank)


def _parse(part: SubgraphMeta, text: str) -> DeviceRef:
    try:
        return DeviceRef.parse(text)
    except MalformedDevice as error:
        raise ArtifactError(f"{part.name}: {error.message}", hint=COMPILE_AGAIN) from None


def _rank(candidate: Candidate) -> int:
    if candidate.is_own:
        return 0
    is_cpu = candidate.device.kind.family is Family.CPU
    return 3 if is_cpu and not candidate.present else 2 if is_cpu else 1


def load_first(candidates: Sequence[Candidate], artifact: LoadedArtifact, index: int, env: LoadEnv) -> LoadedSubgraph:
    """Load subgraph ``index`` in the first of its candidates that works; each that does not is logged.

    Raises what the only candidate raised, or DeviceAbsent with the reasons of all.
    """
    failed: list[tuple[Candidate, NotUsableHere | WrongCpu]] = []
    for candidate in candidates:
        try:
            loaded = _load(candidate, artifact, index, env)
        except (NotUsableHere, WrongCpu) as error:
            failed.append((candidate, error))
            if len(candidates) > 1:
                env.log.warning("%s cannot run on %s: %s", candidate.part.name, _name(candidate), _reason(error))
            continue
        _tell(candidate, loaded, env.log)
        return loaded
    part = candidates[0].part
    problems = [Problem(_name(candidate), _reason(error)) for candidate, error in failed]
    if part.no_fallback:
        problems.append(Problem("the CPU", part.no_fallback))
    if len(problems) == 1:
        raise failed[0][1]
    raise DeviceAbsent(
        f"{part.name} can run on nothing that is here",
        problems=problems,
        hint="; or ".join(dict.fromkeys(error.hint for _, error in failed if error.hint)),
    )


def _load(candidate: Candidate, artifact: LoadedArtifact, index: int, env: LoadEnv) -> LoadedSubgraph:
    part, form, device = candidate.part, candidate.form, candidate.device
    check_cpu([(part.name, form, device)])
    view = artifact.subgraph_view(index, form)
    own = LoadEnv(env.threads, env.fallback, env.log, candidate.present)
    executable = candidate.load(view, device, own)
    runs_on = str(getattr(executable, "runs_on", ""))
    if candidate.stands_in:
        runs_on = f"{device}, in the form that {form.backend} compiled for it"
    stated = _parse(part, part.devices[0]) if candidate.stands_in else device
    return LoadedSubgraph(part, form, stated, executable, not candidate.is_own, runs_on, computes_on=device)


def _tell(candidate: Candidate, loaded: LoadedSubgraph, log: logging.Logger) -> None:
    """What was chosen; loudly where it is not the map's first choice."""
    part = candidate.part
    if candidate.is_own:
        level = logging.INFO if str(candidate.device) == part.devices[0] else logging.WARNING
        log.log(level, "%s runs on %s (of %s)", part.name, candidate.device, ", ".join(part.devices))
    else:
        instead = loaded.runs_on or f"{candidate.form.backend}'s simulator"
        log.warning("%s: %s is absent, a fallback runs instead: %s", part.name, loaded.device, instead)


def _reason(error: OptimaError) -> str:
    rows = "; ".join(f"{problem.subject}: {problem.reason}" for problem in error.problems)
    return f"{error.message} ({rows})" if rows else error.message


def _name(candidate: Candidate) -> str:
    if candidate.is_own:
        return str(candidate.device)
    return f"{candidate.device} in its place" if candidate.stands_in else f"a simulator of {candidate.device}"
