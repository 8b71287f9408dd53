"""In-place ops become their pure form, in one pass over the trace.

A write to a tensor is harmless when every other name of the same memory that is read later sees exactly the
same elements (results of earlier in-place ops, dropout in eval mode, ``contiguous``): they all become the new
value. A write that is seen through another view needs torch's own functionalisation (``ViewWrite``). A write
to an input, a parameter or a buffer is refused, whichever way it is made.
"""

from __future__ import annotations

from typing import Any

from devices.errors import Problem
from torch2nx.errors import ConvertError
from torch2nx.trace import INPUT, RESULT, Step, Trace, Value, extent, replaced, values_in

#: what aten returns its argument itself for in eval mode, although traced tensors do not show it
ALIASES_IN_EVAL = (
    "aten.dropout.", "aten.feature_dropout.", "aten.alpha_dropout.", "aten.feature_alpha_dropout.",
    "aten.native_dropout.",
)  # fmt: skip

#: in-place forms that change nothing but autograd's view of the tensor
_HARMLESS = ("aten.detach_.default", "aten.requires_grad_.default", "aten.dropout_.default",
             "aten.feature_dropout_.default", "aten.alpha_dropout_.default",
             "aten.feature_alpha_dropout_.default")  # fmt: skip


class ViewWrite(Exception):
    """A write that another view of the same memory sees; torch's functionalisation is needed."""


def functionalize(trace: Trace) -> None:
    """Rewrite ``trace`` without in-place ops.

    Raises ConvertError when the model writes to an input, a parameter or a buffer, and ViewWrite when a write
    is seen through another view.
    """
    memory = _Memory(trace)
    # Torch writes a changed buffer back in the end: the line that changed it is named once.
    refused: dict[tuple[str, str], Problem] = {}
    for step in trace.steps:
        if (problem := _state_write(memory, step)) is not None:
            refused.setdefault((problem.where, problem.reason), problem)
    if refused:
        raise ConvertError(
            "the model changes its inputs, parameters or buffers, and a compiled model keeps no state",
            problems=refused.values(),
            hint="write the result to a new tensor (x = x + 1, not x += 1) and return it",
        )
    current: dict[Value, Value] = {}
    steps: list[Step] = []
    for index, step in enumerate(trace.steps):
        step.arguments = {k: replaced(v, current) for k, v in step.arguments.items()}
        written = written_argument(step)
        if written is None:
            steps.append(step)
            continue
        aliases = memory.exact_aliases(step, index)
        steps += _pure_steps(step, written)
        new = steps[-1].outputs[0]
        for alias in aliases:
            end = _end(current, alias)
            if end is not new:
                current[end] = new
    trace.steps = steps
    trace.results = [replaced(v, current) for v in trace.results]


def _end(table: dict[Value, Value], value: Value) -> Value:
    while value in table:
        value = table[value]
    return value


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


class _Memory:
    """Which values are names of the same memory, and when each is read."""

    def __init__(self, trace: Trace) -> None:
        self._merged: dict[Any, Any] = {}
        self.members: dict[Any, list[Value]] = {}
        self.last_read: dict[Value, int] = {}
        self._born: dict[Value, int] = {}
        roots = dict.fromkeys(v for step in trace.steps for v in step.operands if v.kind != RESULT)
        for value in dict.fromkeys([*trace.inputs, *roots]):
            self.members.setdefault(self.key(value), []).append(value)
        for index, step in enumerate(trace.steps):
            operands = list(step.operands)
            for value in operands:
                self.last_read[value] = index
            for value in step.outputs:
                self._born[value] = index
                if step.target.startswith(ALIASES_IN_EVAL) and operands:
                    same = self.key(operands[0])
                    if self.key(value) != same:
                        self._merged[self.key(value)] = same
                self.members.setdefault(self.key(value), []).append(value)
        for value in values_in(trace.results):
            self.last_read[value] = len(trace.steps)

    def key(self, value: Value) -> Any:
        """Equal for values in the same memory."""
        key = _storage(value)
        while key in self._merged:
            key = self._merged[key]
        return key

    def exact_aliases(self, step: Step, index: int) -> list[Value]:
        """The names, read later, of what step ``index`` writes.

        Raises ViewWrite when one of them sees other elements than the written tensor.
        """
        aliases = []
        for value in self.members[self.key(step.outputs[0])]:
            # A view that is made later is made from the new value.
            if self._born.get(value, -1) > index or self.last_read.get(value, -1) <= index:
                continue
            if value is not step.outputs[0] and _geometry(value) != _geometry(step.outputs[0]):
                raise ViewWrite(step.target)
            aliases.append(value)
        return aliases


def _storage(value: Value) -> Any:
    try:
        return value.meta.untyped_storage()._cdata
    except (AttributeError, NotImplementedError, RuntimeError):
        # No tensor, or one without memory: it has no aliases.
        return ("none", id(value))


def _geometry(value: Value) -> Any:
    meta = value.meta
    strides = tuple(extent(s) for s in meta.stride())
    return (value.shape, strides, extent(meta.storage_offset()), meta.dtype)


def _state_write(memory: _Memory, step: Step) -> Problem | None:
    try:
        name = written_argument(step)
    except ViewWrite:
        return None
    if name is None:
        return None
    root = next((v for v in memory.members[memory.key(step.arguments[name])] if v.kind != RESULT), None)
    if root is None:
        return None
    what = "an input" if root.kind == INPUT else f"{root.name!r}"
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
    shown = _shown(pure, {k: step.arguments[k] for k in names if k in step.arguments})
    new = Step(str(pure), pure, {k: step.arguments.get(k) for k in names}, [result], step.origin)
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
