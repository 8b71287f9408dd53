"""Where the sizes come from that made torch give up a trace: the calls whose results data decided.

Torch's message names a symbol, ``u4``, and the line that needed its value. The call that gave the symbol stands in
the graph that torch had traced so far, which the frames of the error still hold; without it nothing is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from devices.errors import Problem
from torch2nx import origins

if TYPE_CHECKING:
    from torch.fx import Graph


def problems_of(error: BaseException) -> list[Problem]:
    """The op and the line that gave each size or number in the condition that ``error`` could not decide."""
    wanted = set(getattr(getattr(error, "cond", None), "free_symbols", ()))
    graph = _traced_graph(error) if wanted else None
    found: list[Problem] = []
    for node in graph.nodes if graph is not None else ():
        given = wanted & set(_symbols(node.meta.get("val")))
        if given and node.op == "call_function":
            wanted -= given
            origin = origins.origin_of_node(node)
            where, code = ("", "")
            if origin is not None:
                # The finished trace has no such root.
                origin["module"] = origin["module"].removeprefix("_export_root").lstrip(".")
                where, code = origins.where(origin), origin["code"]
            found.append(Problem(str(node.target), "its result's shape or value depends on the data", where, code))
    return list(dict.fromkeys(found))


def _traced_graph(error: BaseException) -> Graph | None:
    from torch.fx import Graph
    from torch.fx.proxy import TracerBase

    trace = error.__traceback__
    while trace is not None:
        for held in trace.tb_frame.f_locals.values():
            for tracer in (held, getattr(held, "tracer", None)):
                graph = getattr(tracer, "graph", None)
                if isinstance(tracer, TracerBase) and isinstance(graph, Graph):
                    return graph
        trace = trace.tb_next
    return None


def _symbols(value: Any) -> Iterator[Any]:
    """The symbols in a traced value: a number, a tensor's sizes, or a list of these."""
    import torch

    if isinstance(value, torch.Tensor):
        value = list(value.shape)
    if isinstance(value, list | tuple):
        for member in value:
            yield from _symbols(member)
    elif isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        yield from value.node.expr.free_symbols
