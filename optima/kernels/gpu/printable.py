"""Whether an op can be printed at all, told from its unscheduled program: lowering adds only what is known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from optima.graph import Graph
from optima.kernels.gpu.launches import DTYPES
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.expressions import c_name
from optima.kernels.gpu.target import GpuTarget
from optima.kernels.naming import canonical
from optima.ops.registry import is_registered

#: ops of one model, or of a few, that a process remembers
_REMEMBERED = 4096


def refusal(op: Graph, target: GpuTarget) -> str:
    """Why the graph of one op has no SPIR-V form, "" if it has one. Milliseconds; equal ops are asked once."""
    if any(is_registered(o.op) for o in op.ops):
        return _refusal(gpu_program(op, target))  # its compute may be another tomorrow
    return _remembered(canonical(op).dump(), target)


@lru_cache(_REMEMBERED)
def _remembered(text: str, target: GpuTarget) -> str:
    return _refusal(gpu_program(Graph.parse(text), target))


def _refusal(program: Any) -> str:
    from tvm_ffi import structural_walk

    (function,) = program.functions.values()
    found: dict[str, None] = {}

    def look(node: Any) -> None:
        reason = _fault(node)
        if reason:
            found[reason] = None

    structural_walk(function.body, look, order="post")
    for parameter in function.params:
        look(parameter)
    return f"{' and '.join(list(found)[:2])} {'has' if len(found) == 1 else 'have'} no SPIR-V form" if found else ""


def _fault(node: Any) -> str:
    dtype = str(getattr(getattr(node, "ty", None), "dtype", "bool"))
    if dtype not in DTYPES and dtype not in ("handle", "void"):
        return dtype
    return c_name(node) if type(node).__name__ == "Call" else ""
