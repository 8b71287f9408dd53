"""Whether a subgraph's memory plan holds together: checked at load, so that no call can leave its buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from devices import Problem, UserError
from optima.backends.base import SubgraphView
from optima.backends.llvm.meta import BufferMeta, LlvmSubgraph
from optima.native import ALIGNMENT, KERNEL_ABI, is_aligned

Array = np.ndarray[Any, Any]
FORMAT_VERSION = 1


class BadSubgraph(UserError):
    """A ``<subgraph>.meta`` of kernels that is not as ``link`` wrote it.

    Example: a meta edited by hand so that a buffer lies outside the arena. Fix: compile the model again.
    """


class Planned(Protocol):
    """The memory plan of a subgraph, whichever code its kernels are."""

    @property
    def buffers(self) -> tuple[BufferMeta, ...]:
        """Every buffer of the subgraph."""

    @property
    def arena_bytes(self) -> int:
        """The size of the arena that scratch buffers lie in."""


def bound(buffer: BufferMeta, array: Array | None) -> bool:
    """Whether ``array`` can stand for ``buffer``: there, of its shape and dtype, dense and aligned."""
    return (
        array is not None
        and array.shape == buffer.shape
        and array.dtype == buffer.numpy_dtype
        and is_aligned(array)
    )


def alias_roots(meta: Planned) -> dict[str, str]:
    """Buffer name -> the buffer whose memory it uses: itself, or the end of its chain of aliases.

    A chain that leads round in a circle ends at one of its own aliases.
    """
    owners = {b.name: b.alias_of for b in meta.buffers if b.kind == "alias"}
    roots: dict[str, str] = {}
    for buffer in meta.buffers:
        name, passed = buffer.name, {buffer.name}
        while name in owners and owners[name] not in passed:
            name = roots.get(owners[name], owners[name])
            passed.add(name)
        roots[buffer.name] = name
    return roots


def problems_of(meta: LlvmSubgraph, view: SubgraphView) -> list[Problem]:
    """Everything about ``meta`` that would make a call read or write outside its buffers."""
    versions = [*_versions(meta)]
    if versions:
        return versions
    names = [*_repeated(meta), *_unknown_names(meta, view)]
    if names:
        return names
    placed = [p for b in meta.buffers for p in place_problems(b, meta, view)]
    return [*placed, *alias_problems(meta)]


def _versions(meta: LlvmSubgraph) -> Iterator[Problem]:
    if meta.format_version != FORMAT_VERSION:
        yield Problem("format_version", f"is {meta.format_version}; this Optima reads {FORMAT_VERSION}")
    if meta.kernel_abi != KERNEL_ABI:
        yield Problem("kernel_abi", f"is {meta.kernel_abi}; this Optima calls kernels of ABI {KERNEL_ABI}")


def _repeated(meta: LlvmSubgraph) -> Iterator[Problem]:
    named = {"buffer": [b.name for b in meta.buffers], "kernel": [k.name for k in meta.kernels]}
    for what, names in named.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield Problem(name, f"{times} {what}s have this name")


def _unknown_names(meta: LlvmSubgraph, view: SubgraphView) -> Iterator[Problem]:
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name for k in meta.kernels}
    for kernel in meta.kernels:
        if kernel.file not in view.files:
            yield Problem(kernel.name, f"its file {kernel.file} is not in the folder")
    for name in (*meta.inputs, *meta.outputs):
        if name not in buffers or buffers[name].kind != "border":
            yield Problem(name, "is an input or output without a border buffer")
    for i, call in enumerate(meta.calls):
        if call.kernel not in kernels:
            yield Problem(f"call {i}", f"there is no kernel {call.kernel}")
        for name in (*call.args, *(b for b, _ in call.results.values())):
            if name not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {name}")
        for name, (buffer, channels) in call.results.items():
            shape = buffers[buffer].shape if buffer in buffers else ()
            if channels and (len(shape) < 3 or not 0 < channels <= shape[1] * shape[-1]):
                yield Problem(name, f"{buffer} does not hold {channels} channels in blocks")
    for out, source in meta.copies:
        if out == source or out not in meta.outputs:
            yield Problem(out, f"cannot be a copy of {source}")
            continue
        sizes = [buffers[n].nbytes for n in (out, source) if n in buffers]
        if len(sizes) != 2 or sizes[0] != sizes[1] or buffers[out].dtype != buffers[source].dtype:
            yield Problem(out, f"cannot be a copy of {source}")


def place_problems(
    buffer: BufferMeta, meta: Planned, view: SubgraphView, alignment: int = ALIGNMENT
) -> Iterator[Problem]:
    """What is wrong with where a buffer lies."""
    if any(extent < 0 for extent in buffer.shape):
        yield Problem(buffer.name, f"has a negative extent in {list(buffer.shape)}")
    elif buffer.kind == "scratch":
        inside = buffer.offset >= 0 and buffer.offset + buffer.nbytes <= meta.arena_bytes
        if buffer.offset % alignment or not inside:
            place = f"byte {buffer.offset} is no place in {meta.arena_bytes} bytes of arena"
            yield Problem(buffer.name, place)
    elif buffer.kind == "constant" and not bound(buffer, view.constants.get(buffer.name)):
        yield Problem(buffer.name, f"there is no aligned constant {buffer.dtype}{list(buffer.shape)}")


def alias_problems(meta: Planned) -> Iterator[Problem]:
    """Aliases of what has no memory, or other bytes."""
    buffers = {b.name: b for b in meta.buffers}
    for name, root in alias_roots(meta).items():
        buffer, owner = buffers[name], buffers.get(root)
        if owner is None or owner.kind == "alias":
            yield Problem(name, f"is an alias of {buffer.alias_of!r}, which has no memory")
        elif (owner.nbytes, owner.dtype) != (buffer.nbytes, buffer.dtype):
            yield Problem(name, f"has another size or dtype than {root}, whose bytes it is")
