"""Graph -> Graph, inside one subgraph. ``PASSES`` lists them in order; each has a file of its name.

Before the first pass and after each the graph keeps all of its rules, its signature is what it was, and no
origin of an op that matters is lost. ``fold_constants`` is not in the list: it runs once, over the whole
graph, before the split.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices import InternalError, Problem
from optima.graph import Graph, Tensor
from optima.passes.choose_layout import choose_layout
from optima.passes.context import PassContext
from optima.passes.drop_noop_views import drop_noop_views
from optima.passes.drop_unused_ops import drop_unused_ops
from optima.passes.fold_batchnorm import fold_batchnorm
from optima.passes.fold_constants import fold_constants
from optima.passes.fuse_epilogues import fuse_epilogues, groups_of
from optima.passes.origins import lost_origins
from optima.passes.skip_empty import skip_empty
from optima.passes.split_to_slices import split_to_slices
from optima.passes.use_linear import use_linear

__all__ = ["DENSE_PASSES", "PASSES", "OnPass", "Pass", "PassContext", "fold_constants", "groups_of", "run_passes"]


@dataclass(frozen=True)
class Pass:
    """One pass: its name, its function, and how far the reference's answer may move.

    ``tolerance`` is relative to the largest magnitude of each float32 output; 0 means the same bytes.
    ``drops_origins`` marks a pass that takes work away for good, with the lines that asked for it.
    """

    name: str
    function: Callable[[Graph, PassContext], Graph]
    tolerance: float
    drops_origins: bool = False


PASSES: tuple[Pass, ...] = (
    Pass("split_to_slices", split_to_slices, 0.0),
    Pass("skip_empty", skip_empty, 0.0, drops_origins=True),
    Pass("drop_noop_views", drop_noop_views, 0.0),
    Pass("drop_unused_ops", drop_unused_ops, 0.0),
    Pass("use_linear", use_linear, 1e-5),
    Pass("fold_batchnorm", fold_batchnorm, 1e-5),
    Pass("choose_layout", choose_layout, 1e-5),
    Pass("fuse_epilogues", fuse_epilogues, 0.0),
)

#: for targets without blocked layouts: every tensor stays dense
DENSE_PASSES: tuple[Pass, ...] = tuple(step for step in PASSES if step.name != "choose_layout")

#: called after each pass: its name, the graph before, the graph after, seconds
OnPass = Callable[[str, Graph, Graph, float], None]


def run_passes(
    graph: Graph, context: PassContext, on_pass: OnPass | None = None, passes: Sequence[Pass] | None = None
) -> Graph:
    """Run ``passes`` (all of ``PASSES`` where None) in order.

    Raises GraphError for a graph that breaks its rules to begin with.
    A pass that fails, breaks a rule of the graph, changes its signature or loses an origin is a fault of
    Optima: InternalError, which names it and the passes before it.
    """
    graph.verify()
    done: list[str] = []
    for step in PASSES if passes is None else passes:
        started = time.perf_counter()
        try:
            after = step.function(graph, context)
        # Whatever a pass raises, the report has to say which pass it was.
        except Exception as error:  # noqa: BLE001
            reason = f"{type(error).__name__}: {error}"
            raise _failure(step, done, [Problem(graph.name, reason)]) from error
        problems = _problems(step, graph, after)
        if problems:
            raise _failure(step, done, problems)
        if on_pass is not None:
            on_pass(step.name, graph, after, time.perf_counter() - started)
        graph = after
        done.append(step.name)
    return graph


def _problems(step: Pass, before: Graph, after: Graph) -> list[Problem]:
    from optima.graph_verify import problems_of

    problems = problems_of(after)
    borders = (("inputs", before.inputs, after.inputs), ("outputs", before.outputs, after.outputs))
    for what, old, new in borders:
        if old != new:
            problems.append(Problem(after.name, f"its {what} were {', '.join(old)}; now {', '.join(new)}"))
        elif [_border(before.tensors.get(n)) for n in old] != [_border(after.tensors.get(n)) for n in new]:
            problems.append(Problem(after.name, f"the type, name or layout of its {what} changed"))
    if not step.drops_origins:
        problems += [Problem(str(o), "no op has this origin any more") for o in lost_origins(before, after)]
    return problems


def _border(tensor: Tensor | None) -> object:
    return None if tensor is None else (tensor.type, tensor.argument, tensor.layout)


def _failure(step: Pass, done: list[str], problems: list[Problem]) -> InternalError:
    before = f"after {', '.join(done)}" if done else "the first pass"
    return InternalError(f"the pass {step.name} failed ({before})", problems=problems)
