"""In-place ops become their pure form, in one pass over the trace.

A write gives every other name of the same memory that is read later its new value (``torch2nx.memory``); the few
views that this does not follow are left to torch's own functionalisation (``ViewWrite``). A write to an input, a
parameter or a buffer is to be refused, whichever way it is made (``state_writes``).
"""

from __future__ import annotations

from typing import Any

from devices.errors import Problem
from torch2nx.errors import ConvertError
from torch2nx.memory import Memory, ViewWrite
from torch2nx.trace import INPUT, RESULT, Step, Trace, Value, extent, replaced

#: in-place forms that change nothing but autograd's view of the tensor
_HARMLESS = ("aten.detach_.default", "aten.requires_grad_.default", "aten.dropout_.default",
             "aten.feature_dropout_.default", "aten.alpha_dropout_.default",
             "aten.feature_alpha_dropout_.default")  # fmt: skip


def state_writes(trace: Trace) -> ConvertError | None:
    """The refusal of a model that writes to an input, a parameter or a buffer; None for others."""
    memory = Memory(trace)
    # Torch writes a changed buffer back in the end: the line that changed it is named once.
    refused: dict[tuple[str, str], Problem] = {}
    for step in trace.steps:
        if (problem := _state_write(memory, step)) is not None:
            refused.setdefault((problem.where, problem.reason), problem)
    if not refused:
        return None
    return ConvertError(
        "the model changes its inputs, parameters or buffers, and a compiled model keeps no state",
        problems=refused.values(),
        hint="take the old value as an argument of forward, write the new one to a tensor of its own (x = x + 1, not "
        "x += 1), and return it",
    )


def functionalize(trace: Trace) -> None:
    """Rewrite ``trace`` without in-place ops; writes to state (``state_writes``) reach what reads it later.

    Raises ViewWrite when a write is seen through a view that ``torch2nx.memory`` does not follow.
    """
    memory = Memory(trace)
    current: dict[Value, Value] = {}
    steps: list[Step] = []
    names = {step: step.arguments[name] for step in trace.steps if (name := written_argument(step)) is not None}
    for index, step in enumerate(trace.steps):
        step.arguments = {k: replaced(v, current) for k, v in step.arguments.items()}
        written = written_argument(step)
        if written is None:
            steps.append(step)
            continue
        steps += _pure_steps(step, written)
        steps += memory.write(step, names[step], steps[-1].outputs[0], index, current)
    trace.steps = steps
    trace.results = [replaced(v, current) for v in trace.results]


def written_argument(step: Step) -> str | None:
    """The schema name of the tensor that a step writes, or None. Raises ViewWrite when there are several."""
    if step.overload is None or step.target in _HARMLESS or not hasattr(step.overload, "_schema"):
        return None
    written = [
        a.name
        for a in step.overload._schema.arguments
        if a.alias_info is not None and a.alias_info.is_write and step.arguments.get(a.name) is not None
    ]
    if len(written) > 1 or (written and not isinstance(step.arguments[written[0]], Value)):
        raise ViewWrite(step.target)
    return written[0] if written else None


def _state_write(memory: Memory, step: Step) -> Problem | None:
    try:
        name = written_argument(step)
    except ViewWrite:
        return None
    if name is None:
        return None
    root = next((v for v in memory.members[memory.key(step.arguments[name])] if v.kind != RESULT), None)
    if root is None:
        return None
    what = "an input" if root.kind == INPUT else f"{root.name!r}" if root.name else "a tensor that the model holds"
    return step.problem(f"it changes {what} in place")


def _pure_steps(step: Step, written: str) -> list[Step]:
    """The step's pure form, and a cast back to the written tensor's dtype where the pure form promotes it."""
    import torch

    packet, _, overload = step.target.removeprefix("aten.").partition(".")
    functions = getattr(torch.ops.aten, _pure_name(packet), None)
    pure = getattr(functions, overload, None) if packet.endswith("_") and functions is not None else None
    if pure is None or torch.Tag.inplace_view in step.overload.tags or written != "self":
        raise ViewWrite(step.target)
    names = [a.name for a in pure._schema.arguments]
    result = step.outputs[0]
    new = Step(str(pure), pure, {k: step.arguments.get(k) for k in names}, [result], step.origin)
    operands = list(step.operands)
    if len(operands) == 1 and operands[0].dtype.is_floating_point:
        return [new]  # nothing can promote it
    shown = _shown(pure, {k: step.arguments[k] for k in names if k in step.arguments})
    if shown is None or tuple(map(extent, shown.shape)) != result.shape:
        raise ViewWrite(step.target)
    if shown.dtype == result.meta.dtype:
        return [new]
    new.outputs = [Value(RESULT, shown)]
    cast = torch.ops.aten.to.dtype
    arguments = {"self": new.outputs[0], "dtype": result.meta.dtype, "non_blocking": False, "copy": False}
    return [new, Step(str(cast), cast, arguments | {"memory_format": None}, [result], step.origin)]


def _pure_name(packet: str) -> str:
    """``add_`` -> ``add``, ``__iand__`` -> ``__and__``."""
    if packet.startswith("__i") and packet.endswith("__"):
        return f"__{packet[3:]}"
    return packet[:-1]


def _shown(pure: Any, arguments: dict[str, Any]) -> Any:
    """What the pure form returns on the trace's fake tensors; None when it does not return one tensor."""
    import torch

    def fake(argument: Any) -> Any:
        if isinstance(argument, Value):
            return argument.meta
        return [fake(a) for a in argument] if isinstance(argument, list) else argument

    values = {k: fake(v) for k, v in arguments.items()}
    leading = [values.pop("self")] if "self" in values else []
    with torch.no_grad():
        try:
            shown = pure(*leading, **values)
        # A shape that depends on data may have to be compared, which torch refuses in several ways.
        except Exception:  # noqa: BLE001
            return None
    return shown if isinstance(shown, torch.Tensor) else None
