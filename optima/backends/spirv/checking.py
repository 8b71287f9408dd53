"""Whether a subgraph's plan holds together: checked at load, so that no launch can leave its buffers."""

from __future__ import annotations

from collections.abc import Iterator

from devices import Problem
from optima.backends.base import SubgraphView
from optima.backends.llvm.buffers import alias_problems, place_problems
from optima.backends.spirv.meta import FORMAT_VERSION, SpirvSubgraph


def problems_of(meta: SpirvSubgraph, view: SubgraphView) -> list[Problem]:
    """Everything about ``meta`` that would make a launch read or write outside its buffers."""
    if meta.format_version != FORMAT_VERSION:
        return [Problem("format_version", f"is {meta.format_version}; this Optima reads {FORMAT_VERSION}")]
    names = [*_unknown_names(meta, view)]
    if names:
        return names
    placed = [p for b in meta.buffers for p in place_problems(b, meta, view, meta.alignment)]
    return [*placed, *alias_problems(meta)]


def _unknown_names(meta: SpirvSubgraph, view: SubgraphView) -> Iterator[Problem]:
    buffers = {b.name: b for b in meta.buffers}
    kernels = {k.name: k for k in meta.kernels}
    if len(buffers) != len(meta.buffers) or len(kernels) != len(meta.kernels):
        yield Problem(meta.name, "two of its buffers, or of its kernels, have one name")
    for kernel in meta.kernels:
        if kernel.file not in view.files:
            yield Problem(kernel.name, f"its file {kernel.file} is not in the folder")
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
