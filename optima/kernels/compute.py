"""Call an operator's TE compute; a user's own may do anything, and is held to its entry's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devices import Problem, UserError
from optima.graph import Graph, Op
from optima.ops.entry import OpEntry, OpView, Te
from optima.ops.registry import is_registered

if TYPE_CHECKING:
    from tvm import te


class ComputeError(UserError):
    """The TE compute of a user's own operator that raises, or returns something else than its reference.

    Example: a compute that returns float32 where the reference gives float64.
    Fix: one ``te.Tensor`` per output in a list, of the shapes and dtypes in ``view.outputs``.
    """


_HINT = "compute(view, tensors) returns a list of te.Tensor of the types in view.outputs (docs/adding_an_op.md)"


def compute(entry: OpEntry, graph: Graph, op: Op, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    """The results of an op over ``tensors`` by role. Raises ComputeError for what a user's own compute does wrong."""
    assert isinstance(entry.te, Te)
    view = OpView.of(graph, op)
    if not is_registered(op.op):
        return entry.te.compute(view, tensors)
    try:
        results = entry.te.compute(view, tensors)
    # It is the user's code: whatever it raises is the answer.
    except Exception as error:
        reason = f"the compute of {op.op} raises {_line(error)}"
        raise ComputeError(reason, problems=[op.problem(reason)], hint=_HINT) from error
    fault = _fault(view, results)
    if fault:
        raise ComputeError(f"the compute of {op.op} {fault}", problems=[op.problem(fault)], hint=_HINT)
    return list(results)


def faults_of(entry: OpEntry, graph: Graph, op: Op) -> list[Problem]:
    """What is wrong with a user's compute for this op, found by calling it on placeholders."""
    from tvm import te

    types = ((role, graph.type_of(name)) for role, name in zip(op.roles, op.inputs, strict=True))
    tensors = {role: te.placeholder(t.shape, dtype=t.dtype, name=role.replace(".", "_")) for role, t in types}
    try:
        results = compute(entry, graph, op, tensors)
        made = [r for r in results if not any(r.same_as(t) for t in tensors.values())]
        te.create_prim_func([*tensors.values(), *made])
    except ComputeError as error:
        return list(error.problems)
    # TVM reports an expression that is no program by many types of its own.
    except Exception as error:  # noqa: BLE001
        return [op.problem(f"the compute of {op.op} makes no program: {_line(error)}")]
    return []


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _fault(view: OpView, results: Any) -> str:
    from tvm import te

    if not isinstance(results, list | tuple) or not all(isinstance(r, te.Tensor) for r in results):
        return f"returns {results!r:.60}, not a list of te.Tensor"
    if len(results) != len(view.outputs):
        return f"returns {len(results)} tensors for {len(view.outputs)} outputs"
    for number, (result, expected) in enumerate(zip(results, view.outputs, strict=True)):
        try:
            shape = tuple(int(extent) for extent in result.shape)
        except TypeError:
            return f"gives output {number} the shape {list(result.shape)}, which is not constant"
        if shape != expected.shape or str(result.dtype) != expected.dtype:
            return (
                f"gives output {number} as {result.dtype}{list(shape)}, "
                f"but its reference gives {expected.dtype}{list(expected.shape)}"
            )
    return ""
