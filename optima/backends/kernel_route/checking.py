"""Whether a subgraph's memory plan holds together: checked at load, so that no call can leave its buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from devices import Problem, UserError
from optima.backends.base import SubgraphView
from optima.backends.kernel_route.buffers import alias_roots, bound
from optima.backends.kernel_route.meta import BufferMeta, PlannedSubgraph
from optima.backends.meta_reading import AGAIN, read_meta
from optima.graph import TensorType

#: the most problems that an error lists
_SHOWN = 20
Plan = TypeVar("Plan", bound=PlannedSubgraph)


class BadSubgraph(UserError):
    """A ``<subgraph>.meta`` of kernels that is not as ``link`` wrote it.

    Example: a meta edited by hand so that a buffer lies outside the arena. Fix: compile the model again.
    """


def read_plan(
    model: type[Plan], view: SubgraphView, format_version: int, own_problems: Callable[[Plan], Iterable[Problem]]
) -> Plan:
    """The meta of a subgraph of kernels. ``own_problems``: what is wrong with what only this backend's metas have.

    Raises BadSubgraph, with every problem, when it contradicts itself, the files or model.meta.
    """
    meta = read_meta(model, view, BadSubgraph)
    if meta.format_version != format_version:
        problems = [Problem("format_version", f"is {meta.format_version}; this Optima reads {format_version}")]
    else:
        problems = [*_name_problems(meta, view), *own_problems(meta)] or _plan_problems(meta, view)
    if problems:
        raise BadSubgraph(f"{view.name}.meta contradicts itself", problems=problems[:_SHOWN], hint=AGAIN)
    return meta


def _name_problems(meta: PlannedSubgraph, view: SubgraphView) -> Iterator[Problem]:
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


def _plan_problems(meta: PlannedSubgraph, view: SubgraphView) -> list[Problem]:
    """What is wrong with where buffers lie: for a meta whose names are right."""
    placed = [p for b in meta.buffers for p in _place_problems(b, meta, view)]
    return [*placed, *_alias_problems(meta)]


def _place_problems(buffer: BufferMeta, meta: PlannedSubgraph, view: SubgraphView) -> Iterator[Problem]:
    """What is wrong with where a buffer lies."""
    if any(extent < 0 for extent in buffer.shape):
        yield Problem(buffer.name, f"has a negative extent in {list(buffer.shape)}")
    elif buffer.kind == "scratch":
        inside = buffer.offset >= 0 and buffer.offset + buffer.nbytes <= meta.arena_bytes
        if buffer.offset % meta.alignment or not inside:
            place = f"byte {buffer.offset} is no place in {meta.arena_bytes} bytes of arena"
            yield Problem(buffer.name, place)
    elif buffer.kind == "constant" and not bound(buffer, view.constants.get(buffer.name)):
        yield Problem(buffer.name, f"there is no aligned constant {buffer.dtype}{list(buffer.shape)}")


def _alias_problems(meta: PlannedSubgraph) -> Iterator[Problem]:
    """Aliases of what has no memory, or other bytes."""
    buffers = {b.name: b for b in meta.buffers}
    for name, root in alias_roots(meta).items():
        buffer, owner = buffers[name], buffers.get(root)
        if owner is None or owner.kind == "alias":
            yield Problem(name, f"is an alias of {buffer.alias_of!r}, which has no memory")
        elif (owner.nbytes, owner.dtype) != (buffer.nbytes, buffer.dtype):
            yield Problem(name, f"has another size or dtype than {root}, whose bytes it is")
