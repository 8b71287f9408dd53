"""Whether a subgraph's memory plan holds together: checked at load, so that no call can leave its buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from devices import Problem, UserError
from optima.backends.base import SubgraphView
from optima.backends.llvm.meta import BufferMeta, LlvmSubgraph, PlannedSubgraph
from optima.graph import TensorType
from optima.native import ALIGNMENT, KERNEL_ABI, is_aligned

Array = np.ndarray[Any, Any]
FORMAT_VERSION = 1


class BadSubgraph(UserError):
    """A ``<subgraph>.meta`` of kernels that is not as ``link`` wrote it.

    Example: a meta edited by hand so that a buffer lies outside the arena. Fix: compile the model again.
    """


def bound(buffer: BufferMeta, array: Array | None) -> bool:
    """Whether ``array`` can stand for ``buffer``: there, of its shape and dtype, dense and aligned."""
    return array is not None and array.shape == buffer.shape and array.dtype == buffer.numpy_dtype and is_aligned(array)


def alias_roots(meta: PlannedSubgraph) -> dict[str, str]:
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
    names = [*name_problems(meta, view), *_unknown_results(meta)]
    if names:
        return names
    return plan_problems(meta, view)


def plan_problems(meta: PlannedSubgraph, view: SubgraphView, alignment: int = ALIGNMENT) -> list[Problem]:
    """What is wrong with where buffers lie: for a meta whose names are right."""
    placed = [p for b in meta.buffers for p in place_problems(b, meta, view, alignment)]
    return [*placed, *alias_problems(meta)]


def _versions(meta: LlvmSubgraph) -> Iterator[Problem]:
    if meta.format_version != FORMAT_VERSION:
        yield Problem("format_version", f"is {meta.format_version}; this Optima reads {FORMAT_VERSION}")
    if meta.kernel_abi != KERNEL_ABI:
        yield Problem("kernel_abi", f"is {meta.kernel_abi}; this Optima calls kernels of ABI {KERNEL_ABI}")


def name_problems(meta: PlannedSubgraph, view: SubgraphView) -> Iterator[Problem]:
    """Names of buffers, kernels and files that stand for two things, or for none; borders that are not the view's."""
    named = {"buffer": [b.name for b in meta.buffers], "kernel": [k.name for k in meta.kernels]}
    for what, names in named.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield Problem(name, f"{times} {what}s have this name")
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name for k in meta.kernels}
    for kernel in meta.kernels:
        for file in kernel.files:
            if file not in view.files:
                yield Problem(kernel.name, f"its file {file} is not in the folder")
    for what, own, stated in (("inputs", meta.inputs, view.inputs), ("outputs", meta.outputs, view.outputs)):
        if tuple(own) != tuple(stated):
            yield Problem(what, f"are {', '.join(own) or 'none'}; model.meta says {', '.join(stated) or 'none'}")
    for name in (*meta.inputs, *meta.outputs):
        if name not in buffers or buffers[name].kind != "border":
            yield Problem(name, "is an input or output without a border buffer")
        elif (kind := TensorType(buffers[name].shape, buffers[name].dtype)) != view.types.get(name, kind):
            yield Problem(name, f"is {kind.dtype}{list(kind.shape)} here, and another type in model.meta")
    for i, call in enumerate(meta.calls):
        if call.kernel not in kernels:
            yield Problem(f"call {i}", f"there is no kernel {call.kernel}")
        for name in call.args:
            if name not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {name}")
    for out, source in meta.copies:
        forms = [(buffers[n].nbytes, buffers[n].dtype) for n in (out, source) if n in buffers]
        if out == source or out not in meta.outputs or len(forms) != 2 or forms[0] != forms[1]:
            yield Problem(out, f"cannot be a copy of {source}")


def _unknown_results(meta: LlvmSubgraph) -> Iterator[Problem]:
    buffers = {b.name: b for b in meta.buffers}
    for i, call in enumerate(meta.calls):
        for name, (buffer, channels) in call.results.items():
            if buffer not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {buffer}")
            shape = buffers[buffer].shape if buffer in buffers else ()
            if channels and (len(shape) < 3 or not 0 < channels <= shape[1] * shape[-1]):
                yield Problem(name, f"{buffer} does not hold {channels} channels in blocks")


def place_problems(
    buffer: BufferMeta, meta: PlannedSubgraph, view: SubgraphView, alignment: int = ALIGNMENT
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


def alias_problems(meta: PlannedSubgraph) -> Iterator[Problem]:
    """Aliases of what has no memory, or other bytes."""
    buffers = {b.name: b for b in meta.buffers}
    for name, root in alias_roots(meta).items():
        buffer, owner = buffers[name], buffers.get(root)
        if owner is None or owner.kind == "alias":
            yield Problem(name, f"is an alias of {buffer.alias_of!r}, which has no memory")
        elif (owner.nbytes, owner.dtype) != (buffer.nbytes, buffer.dtype):
            yield Problem(name, f"has another size or dtype than {root}, whose bytes it is")
