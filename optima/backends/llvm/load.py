"""The run half of the CPU route: opens the kernels of a subgraph and calls them over planned buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from devices import DeviceRef, Problem
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.kernel_route.buffers import Array, alias_roots, check_borders
from optima.backends.kernel_route.checking import read_plan
from optima.backends.llvm.meta import FORMAT_VERSION, CallMeta, LlvmSubgraph, own_problems
from optima.backends.meta_reading import AGAIN
from optima.native import Call, Kernel, KernelFailed, KernelRefused, Operand, Program, aligned_empty, view_at


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> LlvmExecutable:
    """Open a subgraph's kernels. ``view`` holds bytes that were checked; the CPU's features were, too.

    Raises BadSubgraph when ``<subgraph>.meta`` contradicts itself or the files, KernelRefused when a kernel
    cannot be opened; each names every problem found.
    """
    meta = read_plan(LlvmSubgraph, view, FORMAT_VERSION, own_problems)
    executable = LlvmExecutable(meta, _open(meta, view), view.constants)
    env.log.debug("%s: %d kernels, %d calls on %s", meta.name, len(meta.kernels), len(meta.calls), device)
    return executable


def _open(meta: LlvmSubgraph, view: SubgraphView) -> dict[str, Kernel]:
    kernels: dict[str, Kernel] = {}
    problems: list[Problem] = []
    for kernel in meta.kernels:
        try:
            kernels[kernel.name] = Kernel.open(view.files[kernel.file], kernel.symbol)
        except KernelRefused as error:
            problems.append(Problem(kernel.file, error.message))
    if problems:
        message = f"{len(problems)} kernels of {meta.name} cannot be opened"
        raise KernelRefused(message, problems=problems, hint=AGAIN)
    return kernels


class LlvmExecutable:
    """A loaded subgraph: kernels and constants, shared by all requests."""

    def __init__(self, meta: LlvmSubgraph, kernels: Mapping[str, Kernel], constants: Mapping[str, Array]) -> None:
        self.meta = meta
        self.kernels = kernels
        self.constants = constants

    def bind(self, borders: Mapping[str, Array]) -> LlvmInvocation:
        """Private buffers of one request: an arena for the scratch tensors, and the program over all of them.

        ``borders`` maps every input and output to a dense, 64-byte aligned array. Raises UserError naming
        those that are missing or have another shape or dtype.
        """
        check_borders(self.meta, borders)
        return LlvmInvocation(self, borders)


class LlvmInvocation:
    """One request's program over one subgraph."""

    def __init__(self, executable: LlvmExecutable, borders: Mapping[str, Array]) -> None:
        self._meta = meta = executable.meta
        self._arrays = _arrays(executable, borders)
        index = {buffer.name: i for i, buffer in enumerate(meta.buffers)}
        operands = [Operand(self._arrays[b.name], b.dtype) for b in meta.buffers]
        calls = [Call(executable.kernels[c.kernel], [index[a] for a in c.args]) for c in meta.calls]
        self._program = Program(operands, calls)
        self._elapsed_ns = np.zeros(len(calls), np.int64)
        self._copies = [(self._arrays[out], self._arrays[source]) for out, source in meta.copies]

    def run(self) -> None:
        """Run every call, then the copies. Raises KernelFailed with the subgraph, the kernel and its ops."""
        self._run(0, len(self._meta.calls))
        self._copy()

    def timings(self) -> Sequence[tuple[str, float]]:
        """(kernel, microseconds) of each call of the last run."""
        pairs = zip(self._meta.calls, self._elapsed_ns.tolist(), strict=True)
        return tuple((call.kernel, ns / 1000) for call, ns in pairs)

    def trace(self) -> dict[str, Array]:
        """Run call by call; copies, in logical form, of all that each call leaves behind, by graph name."""
        seen = {name: self._arrays[name].copy() for name in self._meta.inputs}
        for step, call in enumerate(self._meta.calls):
            self._run(step, 1)
            seen.update(self._results(call))
        self._copy()
        seen.update({name: self._arrays[name].copy() for name in self._meta.outputs})
        return seen

    def _results(self, call: CallMeta) -> dict[str, Array]:
        found = {name: unblocked(self._arrays[b], channels) for name, (b, channels) in call.results.items()}
        dense = {buffer for buffer, channels in call.results.values() if channels == 0}
        aliases = {b.name: self._arrays[b.name].copy() for b in self._meta.buffers if b.alias_of in dense}
        return {**aliases, **found}

    def _run(self, first: int, count: int) -> None:
        try:
            self._program.run(first, count, self._elapsed_ns[first : first + count])
        except KernelFailed as error:
            call = self._meta.calls[error.call]
            raise KernelFailed(
                f"{self._meta.name}: {error.message}",
                call=error.call,
                problems=[Problem(op, f"computed by kernel {call.kernel}") for op in call.ops],
            ) from None

    def _copy(self) -> None:
        for out, source in self._copies:
            np.copyto(out, source.reshape(out.shape))


def _arrays(executable: LlvmExecutable, borders: Mapping[str, Array]) -> dict[str, Array]:
    """Every buffer of the subgraph as an array over its memory."""
    meta = executable.meta
    arena = aligned_empty((meta.arena_bytes,), "uint8")
    made: dict[str, Array] = {}
    for buffer in meta.buffers:
        if buffer.kind == "border":
            made[buffer.name] = borders[buffer.name]
        elif buffer.kind == "constant":
            made[buffer.name] = executable.constants[buffer.name]
        elif buffer.kind == "scratch":
            made[buffer.name] = view_at(arena, buffer.offset, buffer.shape, buffer.dtype)
    roots = alias_roots(meta)
    for buffer in meta.buffers:
        if buffer.kind == "alias":
            made[buffer.name] = made[roots[buffer.name]].reshape(buffer.shape)
    return made


def unblocked(array: Array, channels: int) -> Array:
    """A logical copy: ``[N, C / block, *spatial, block]`` -> ``[N, channels, *spatial]``, padding cut off.

    ``channels`` 0 means that the array is dense already.
    """
    if channels == 0:
        return array.copy()
    outer = np.ascontiguousarray(np.moveaxis(array, -1, 2))
    whole = outer.reshape(array.shape[0], array.shape[1] * array.shape[-1], *array.shape[2:-1])
    return np.ascontiguousarray(whole[:, :channels])
