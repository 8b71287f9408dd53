"""Whether a subgraph's plan holds together: checked at load, so that no launch can leave its buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError

from devices import Problem
from optima.backends.base import SubgraphView
from optima.backends.gpu_route.meta import GpuSubgraph
from optima.backends.llvm.buffers import BadSubgraph, name_problems, plan_problems

_AGAIN = "compile the model again, or copy its folder again, whole"
Meta = TypeVar("Meta", bound=GpuSubgraph)


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


def _problems_of(meta: GpuSubgraph, view: SubgraphView, format_version: int) -> list[Problem]:
    """Everything about ``meta`` that would make a launch read or write outside its buffers."""
    if meta.format_version != format_version:
        return [Problem("format_version", f"is {meta.format_version}; this Optima reads {format_version}")]
    names = [*name_problems(meta, view), *_wrong_launches(meta)]
    return names or plan_problems(meta, view, meta.alignment)


def _wrong_launches(meta: GpuSubgraph) -> Iterator[Problem]:
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name: k for k in meta.kernels}
    for i, call in enumerate(meta.calls):
        if call.kernel in kernels and len(kernels[call.kernel].arguments) != len(call.args):
            yield Problem(f"call {i}", f"{call.kernel} takes {len(kernels[call.kernel].arguments)} buffers")
        for name in call.results:
            if name not in buffers:
                yield Problem(f"call {i}", f"there is no buffer {name}")
    for out, source in meta.copies:
        if source in buffers and buffers[source].kind not in ("border", "constant"):
            yield Problem(out, f"cannot be a copy of {source}, which the host does not hold")
