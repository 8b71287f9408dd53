"""Whether an op can be printed at all, told from its unscheduled program: lowering adds only what is known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.dialect import Dialect
from optima.kernels.gpu.printer.expressions import function_fault
from optima.kernels.gpu.target import GpuTarget
from optima.kernels.naming import canonical
from optima.ops.registry import is_registered

#: ops of one model, or of a few, that a process remembers
_REMEMBERED = 4096


def refusal(op: Graph, target: GpuTarget, dialect: Dialect) -> str:
    """Why the graph of one op has no form in a language, "" if it has one. Milliseconds; equal ops are asked once."""
    if any(is_registered(o.op) for o in op.ops):
        return _refusal(gpu_program(op, target), dialect)  # its compute may be another tomorrow
    return _remembered(canonical(op).dump(), target, dialect)


@lru_cache(_REMEMBERED)
def _remembered(text: str, target: GpuTarget, dialect: Dialect) -> str:
    return _refusal(gpu_program(Graph.parse(text), target), dialect)


def _refusal(program: Any, dialect: Dialect) -> str:
    from tvm_ffi import structural_walk

    (function,) = program.functions.values()
    found: dict[str, None] = {}

    def look(node: Any) -> None:
        reason = _fault(node, dialect)
        if reason:
            found[reason] = None

    structural_walk(function.body, look, order="post")
    for parameter in function.params:
        look(parameter)
    if not found:
        return ""
    return f"{' and '.join(list(found)[:2])} {'has' if len(found) == 1 else 'have'} no {dialect.form} form"


def _fault(node: Any, dialect: Dialect) -> str:
    dtype = str(getattr(getattr(node, "ty", None), "dtype", "bool"))
    if dtype not in dialect.dtypes and dtype not in ("handle", "void"):
        return dtype
    return function_fault(node, dialect) if type(node).__name__ == "Call" else ""
