"""Whether a subgraph's plan holds together: checked at load, so that no launch can leave its buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from devices import Problem
from optima.backends.base import SubgraphView
from optima.backends.gpu_route.meta import ALIGNMENT, GpuSubgraph, Kernel
from optima.backends.llvm.buffers import BadSubgraph, alias_problems, place_problems

_AGAIN = "compile the model again, or copy its folder again, whole"
Meta = TypeVar("Meta", bound=GpuSubgraph[Any])


def read_meta(model: type[Meta], view: SubgraphView, format_version: int) -> Meta:
    """The meta of a subgraph. Raises BadSubgraph, with every problem, when it contradicts itself or the files."""
    try:
        meta = model.model_validate(view.meta)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:20]
        problems = [Problem(".".join(map(str, f["loc"])), f["msg"]) for f in faults]
        raise BadSubgraph(f"{view.name}.meta breaks its format", problems=problems, hint=_AGAIN) from None
    problems = _problems_of(meta, view, format_version)
    if problems:
        raise BadSubgraph(f"{view.name}.meta contradicts itself", problems=problems[:20], hint=_AGAIN)
    return meta


def _problems_of(meta: GpuSubgraph[Kernel], view: SubgraphView, format_version: int) -> list[Problem]:
    """Everything about ``meta`` that would make a launch read or write outside its buffers."""
    if meta.format_version != format_version:
        return [Problem("format_version", f"is {meta.format_version}; this Optima reads {format_version}")]
    names = [*_unknown_names(meta, view)]
    if names:
        return names
    placed = [p for b in meta.buffers for p in place_problems(b, meta, view, ALIGNMENT)]
    return [*placed, *alias_problems(meta)]


def _unknown_names(meta: GpuSubgraph[Kernel], view: SubgraphView) -> Iterator[Problem]:
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name: k for k in meta.kernels}
    if len(buffers) != len(meta.buffers) or len(kernels) != len(meta.kernels):
        yield Problem(meta.name, "two of its buffers, or of its kernels, have one name")
    for kernel in meta.kernels:
        for file in kernel.files:
            if file not in view.files:
                yield Problem(kernel.name, f"its file {file} is not in the folder")
    for name in (*meta.inputs, *meta.outputs):
        if name not in buffers or buffers[name].kind != "border":
            yield Problem(name, "is an input or output without a border buffer")
    for i, call in enumerate(meta.calls):
        if call.kernel not in kernels:
            yield Problem(f"call {i}", f"there is no kernel {call.kernel}")
        elif len(kernels[call.kernel].arguments) != len(call.args):
            yield Problem(f"call {i}", f"{call.kernel} takes {len(kernels[call.kernel].arguments)} buffers")
        for name in (*call.args, *call.results):
            if name not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {name}")
    for out, source in meta.copies:
        sizes = [buffers[n].nbytes for n in (out, source) if n in buffers]
        if out == source or out not in meta.outputs or len(sizes) != 2 or sizes[0] != sizes[1]:
            yield Problem(out, f"cannot be a copy of {source}")
        elif buffers[source].kind not in ("border", "constant"):
            yield Problem(out, f"cannot be a copy of {source}, which the host does not hold")
