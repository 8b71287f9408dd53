"""Whether a subgraph's plan holds together: checked at load, so that no launch can leave its buffers."""

from __future__ import annotations

from collections.abc import Iterator

from devices import Problem
from optima.backends.base import SubgraphView
from optima.backends.llvm.buffers import name_problems, plan_problems
from optima.backends.spirv.meta import FORMAT_VERSION, SpirvSubgraph


def problems_of(meta: SpirvSubgraph, view: SubgraphView) -> list[Problem]:
    """Everything about ``meta`` that would make a launch read or write outside its buffers."""
    if meta.format_version != FORMAT_VERSION:
        return [Problem("format_version", f"is {meta.format_version}; this Optima reads {FORMAT_VERSION}")]
    names = [*name_problems(meta, view), *_wrong_launches(meta)]
    return names or plan_problems(meta, view, meta.alignment)


def _wrong_launches(meta: SpirvSubgraph) -> Iterator[Problem]:
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
