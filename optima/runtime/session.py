"""The private state of one request: border buffers, an invocation per subgraph, running them in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from devices import DeviceRef, Family, InternalError, OptimaError, UserError
from optima.artifact.manifest import FormMeta, ModelMeta, SubgraphMeta, SymbolMeta, TensorMeta, TransferMeta
from optima.backends.base import Copying, Executable, Invocation
from optima.runtime.borders import BorderPlan
from optima.runtime.errors import SubgraphFailed
from optima.runtime.lanes import Schedule, run_all
from optima.runtime.profile import KernelProfile, ProfileData, SubgraphProfile, TransferProfile
from optima.runtime.tensors import Array, border_axes
from optima.tools import NotUsableHere


@dataclass(frozen=True, eq=False)
class LoadedSubgraph:
    """A subgraph that is ready to run, in the form that was chosen for ``device``.

    ``simulated``: ``device`` is absent, and what ``runs_on`` names stands in. ``computes_on``: whose lane it takes,
    ``device`` itself unless the CPU's form stands in.
    """

    meta: SubgraphMeta
    form: FormMeta
    device: DeviceRef
    executable: Executable
    simulated: bool
    runs_on: str
    computes_on: DeviceRef


@dataclass(frozen=True, eq=False)
class Loaded:
    """What all requests of a model share: subgraphs in execution order, constants, the border plan and transfers."""

    meta: ModelMeta
    subgraphs: Sequence[LoadedSubgraph]
    constants: Mapping[str, Array]
    plan: BorderPlan
    schedule: Schedule
    transfers: Sequence[TransferMeta]


@contextmanager
def _named(part: LoadedSubgraph) -> Iterator[None]:
    """Errors of a subgraph's run say which it was, and where: of a device that vanished, of a backend's library."""
    subject = f"{part.meta.name} failed on {part.runs_on or part.device}"
    try:
        yield
    except NotUsableHere as error:
        raise type(error)(f"{subject}: {error.message}", problems=error.problems, hint=error.hint) from error
    except OptimaError:
        raise
    # A backend's library may raise anything, and its words alone do not say what it was doing.
    except Exception as error:
        raise SubgraphFailed(
            f"{subject}: {type(error).__name__}: {error}",
            hint="if the device was taken away, load the model again with fallback=True to run without it",
        ) from error


def _copies_us(part: LoadedSubgraph, run: Invocation) -> Mapping[str, float] | None:
    """What copying each border of a subgraph took; None on a CPU, where nothing is copied, {} where it does not say."""
    if part.computes_on.kind.family is Family.CPU:
        return None
    return run.copies_us() if isinstance(run, Copying) else {}


def _transfer_us(transfer: TransferMeta, copies: Mapping[str, Mapping[str, float] | None]) -> float | None:
    """What both sides took to copy it; None where one does not say."""
    sides = [copied for name in (transfer.source, transfer.target) if (copied := copies[name]) is not None]
    if any(transfer.tensor not in copied for copied in sides):
        return None
    return sum(copied[transfer.tensor] for copied in sides)


def _no_memory(loaded: Loaded) -> UserError:
    return UserError(
        f"there is not enough memory for a request: it needs {loaded.meta.request_bytes:,} bytes",
        hint="use fewer requests at a time",
    )


class Session:
    """Buffers and invocations of one request. One run at a time; the caller sees to that."""

    def __init__(self, loaded: Loaded) -> None:
        """Raises UserError when there is not enough memory, and what a backend raises."""
        self._loaded = loaded
        try:
            self._arrays = {**loaded.constants, **loaded.plan.allocate()}
            self._invocations = [self._bind(part) for part in loaded.subgraphs]
        except MemoryError as error:
            raise _no_memory(loaded) from error
        self._elapsed_us = [0.0] * len(self._invocations)
        self._total_us = 0.0

    def _bind(self, part: LoadedSubgraph) -> Invocation:
        with _named(part):
            try:
                return part.executable.bind({n: self._arrays[n] for n in (*part.meta.inputs, *part.meta.outputs)})
            except MemoryError as error:
                raise _no_memory(self._loaded) from error

    def write_input(self, index: int, array: Array, *, logical: bool = False) -> None:
        """Copy an array of the right dtype and shape in; ``logical``: it is in PyTorch's order already."""
        np.copyto(self._input(index, logical), array, casting="equiv")

    def read_input(self, index: int) -> Array:
        """A copy of an input in the caller's layout."""
        return np.array(self._input(index, False), order="C")

    def read_output(self, index: int, *, logical: bool = False) -> Array:
        """A copy of an output, in the caller's layout or in PyTorch's order, as long as its symbols say.

        Raises InternalError for a count outside its symbol's range.
        """
        meta = self._loaded.meta.outputs[index]
        array = self._arrays[meta.name][self._rows(meta)]
        return np.array(array if logical else array.transpose(border_axes(meta)), order="C")

    def run(self) -> None:
        """Run every subgraph, independent ones on different devices at the same time. Raises what a backend raises."""
        start = time.perf_counter_ns()
        if self._loaded.schedule.concurrent:
            run_all(self._loaded.schedule, self._run_one)
        else:
            for step in range(len(self._invocations)):
                self._run_one(step)
        self._total_us = (time.perf_counter_ns() - start) / 1000

    def _run_one(self, step: int) -> None:
        start = time.perf_counter_ns()
        with _named(self._loaded.subgraphs[step]):
            self._invocations[step].run()
        self._elapsed_us[step] = (time.perf_counter_ns() - start) / 1000

    def trace(self) -> dict[str, Array]:
        """Run step by step; copies of every tensor that exists between steps, by name, in PyTorch's order."""
        seen = {t.name: self._arrays[t.name].copy() for t in self._loaded.meta.inputs}
        for part, invocation in zip(self._loaded.subgraphs, self._invocations, strict=True):
            with _named(part):
                seen.update(invocation.trace())
        seen.update({t.name: self._arrays[t.name].copy() for t in self._loaded.meta.outputs})
        return seen

    def profile(self) -> ProfileData:
        """What the last run took."""
        parts = [
            SubgraphProfile(part.meta.name, str(part.device), us, tuple(KernelProfile(*k) for k in run.timings()))
            for part, run, us in zip(self._loaded.subgraphs, self._invocations, self._elapsed_us, strict=True)
        ]
        runs = zip(self._loaded.subgraphs, self._invocations, strict=True)
        copies = {part.meta.name: _copies_us(part, run) for part, run in runs}
        transfers = tuple(
            TransferProfile(t.tensor, t.source, t.target, t.nbytes, t.kind, _transfer_us(t, copies))
            for t in self._loaded.transfers
        )
        return ProfileData(self._total_us, tuple(parts), transfers)

    def _rows(self, meta: TensorMeta) -> tuple[slice, ...]:
        """The part of an output that is meant."""
        rows = [slice(None)] * len(meta.shape)
        for symbol in self._loaded.meta.symbols:
            for name, axis in symbol.axes:
                if name == meta.name:
                    rows[axis] = slice(0, self._count(symbol))
        return tuple(rows)

    def _count(self, symbol: SymbolMeta) -> int:
        count = int(self._arrays[symbol.count.name])
        if not symbol.min <= count <= symbol.max:
            raise InternalError(
                f"{symbol.count.name}, the number of rows {symbol.name}, is {count}: outside "
                f"{symbol.min} to {symbol.max}",
                hint="compile the model again, and report it with the model if that does not help",
            )
        return count

    def _input(self, index: int, logical: bool) -> Array:
        meta = self._loaded.meta.inputs[index]
        array = self._arrays[meta.name]
        return array if logical else array.transpose(border_axes(meta))
