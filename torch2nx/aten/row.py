"""What the tables are made of: a row says what one aten overload becomes, a draft is the op in the making."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from torch2nx.trace import Step, Value

#: where a result lives and how autograd sees it: no part of a graph
_DROPPED: Final = {
    "device", "layout", "pin_memory", "memory_format", "non_blocking", "generator", "copy", "requires_grad",
    "implicit",
}  # fmt: skip


class CannotConvert(Exception):
    """Why a call has no op; it becomes a row of UnsupportedOp."""


class FollowsData(CannotConvert):
    """A call that has no op only because an earlier one gives a size or a number that depends on the data."""


@dataclass(eq=False)
class Draft:
    """An op before it has a name. ``operands`` maps role -> Value in operand order.

    ``used`` tells whether anything reads an output; a row may cut ``outputs`` short where nothing does.
    """

    op: str
    operands: dict[str, Value]
    attrs: dict[str, Any]
    outputs: list[Value]
    used: Callable[[Value], bool]

    def keep_outputs(self, count: int) -> None:
        """Drop the outputs after ``count``; CannotConvert if one of them is read."""
        if any(self.used(v) for v in self.outputs[count:]):
            raise CannotConvert(f"only the first {count} of its results can be used")
        self.outputs = self.outputs[:count]

    def rename(self, **names: str) -> None:
        """Rename roles and attributes, keeping their order: ``rename(x="self")``."""
        self.operands = {names.get(k, k): v for k, v in self.operands.items()}
        self.attrs = {names.get(k, k): v for k, v in self.attrs.items()}

    def drop(self, *names: str) -> None:
        """Remove attributes."""
        for name in names:
            self.attrs.pop(name, None)

    def require(self, reason: str, **expected: Any) -> None:
        """CannotConvert with ``reason`` unless these attributes have these values; then they are dropped."""
        for name, value in expected.items():
            if name in self.operands or self.attrs.get(name, value) != value:
                raise CannotConvert(reason)
            self.attrs.pop(name, None)


@dataclass(frozen=True)
class Row:
    """One accepted overload: the op that it becomes, and what else must be done to the draft."""

    op: str
    adapt: Callable[[Draft], None] | None = None


Table = dict[str, Row]


def rows(overloads: str, adapt: Callable[[Draft], None] | None = None, *, op: str = "") -> Table:
    """Rows for overloads separated by spaces (``add.Tensor``; no dot: ``.default``), named after them."""
    table: Table = {}
    for text in overloads.split():
        key = text if "." in text else f"{text}.default"
        table[key] = Row(op or key.partition(".")[0], adapt)
    return table


def draft_of(step: Step, op: str, used: Callable[[Value], bool]) -> Draft:
    """The step with its tensors as operands, and everything else as attributes.

    Raises CannotConvert for an argument that a graph cannot hold.
    """
    operands: dict[str, Value] = {}
    attrs: dict[str, Any] = {}
    kinds = {a.name: str(a.type) for a in step.overload._schema.arguments}
    for name, argument in step.arguments.items():
        if isinstance(argument, Value):
            operands[name] = argument
        elif isinstance(argument, list) and any(isinstance(a, Value) for a in argument):
            operands |= {f"{name}.{i}": a for i, a in enumerate(argument) if isinstance(a, Value)}
            if any(not isinstance(a, Value) and a is not None for a in argument):
                raise CannotConvert(f"{name} mixes tensors and numbers")
        elif argument is None and "Tensor" in kinds.get(name, ""):
            continue
        elif name in _DROPPED:
            _check_dropped(name, argument)
        elif name in ("cudnn_enabled", "cudnn_enable"):
            # It says what the tracing machine has, and changes no result.
            attrs[name] = True
        else:
            attrs[name] = _plain(name, argument)
    return Draft(op, operands, attrs, list(step.outputs), used)


def _check_dropped(name: str, argument: Any) -> None:
    if name == "generator" and argument is not None:
        raise CannotConvert("a random generator is no part of a graph")
    if name == "layout" and argument is not None and str(argument) != "torch.strided":
        raise CannotConvert(f"layout {argument} is not dense")


def _plain(name: str, argument: Any) -> Any:
    import torch

    if argument is None or type(argument) in (bool, int, float, str):
        return argument
    if isinstance(argument, torch.dtype):
        return str(argument).removeprefix("torch.")
    if isinstance(argument, list | tuple):
        return [_plain(name, member) for member in argument]
    if isinstance(argument, torch.SymInt | torch.SymFloat | torch.SymBool):
        raise CannotConvert(f"{name} depends on the data")
    raise CannotConvert(f"{name}={argument!r:.40} cannot be kept in a graph")


def per_axis(draft: Draft, names: Iterable[str], axes: int) -> None:
    """Write attributes that may be one number, or a list of one, as a list with one number per axis."""
    for name in names:
        value = draft.attrs[name]
        members = value if isinstance(value, list) else [value]
        draft.attrs[name] = members * axes if len(members) == 1 else members
