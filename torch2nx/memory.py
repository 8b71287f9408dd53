"""Which values of a trace are names of the same memory, and what a write through one name does to the others.

A view is undone towards the tensor that it was taken from (a slice becomes ``slice_scatter``), and taken again, from
the changed tensor, for each other name that is read later: functionalisation as in ``torch.func.functionalize``, but
on a trace that keeps its lines and composites, and without tracing a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch2nx.errors import ConvertError
from torch2nx.trace import RESULT, Step, Trace, Value, extent, values_in

#: what returns its argument itself in eval mode
_DROPOUTS: Final = (
    "aten.dropout.", "aten.feature_dropout.", "aten.alpha_dropout.", "aten.feature_alpha_dropout.",
)  # fmt: skip


def is_eval_alias(target: str, arguments: dict[str, Any]) -> bool:
    """Whether a call returns its argument itself, although traced tensors do not show it."""
    return target.startswith(_DROPOUTS) and not (arguments["train"] and arguments["p"])


class ViewWrite(Exception):
    """A write that another view of the same memory sees, in a way that only torch's functionalisation follows."""


@dataclass(frozen=True)
class _View:
    """Result ``position`` of ``step`` is a view of ``source``; ``arguments`` are those of the trace as it was read."""

    step: Step
    source: Value
    arguments: dict[str, Any]
    position: int


class Memory:
    """The names of each memory, how each was made from another, and when each is read."""

    def __init__(self, trace: Trace) -> None:
        self._merged: dict[Any, Any] = {}
        self.members: dict[Any, list[Value]] = {}
        self._last_read: dict[Value, int] = {}
        self._born: dict[Value, int] = {}
        self._views: dict[Value, _View] = {}
        self._places: dict[Value, Any] = {}
        roots = dict.fromkeys(v for step in trace.steps for v in step.operands if v.kind != RESULT)
        for value in dict.fromkeys([*trace.inputs, *roots]):
            self.members.setdefault(self.key(value), []).append(value)
        for index, step in enumerate(trace.steps):
            operands = list(step.operands)
            for value in operands:
                self._last_read[value] = index
            for position, value in enumerate(step.outputs):
                self._born[value] = index
                self._enter(step, operands, position, value)
        for value in values_in(trace.results):
            self._last_read[value] = len(trace.steps)

    def key(self, value: Value) -> Any:
        """Equal for values in the same memory."""
        key = _storage(value)
        while key in self._merged:
            key = self._merged[key]
        return key

    def _place(self, value: Value) -> Any:
        """Equal for names of exactly the same elements."""
        if value not in self._places:
            strides = tuple(extent(s) for s in value.meta.stride())
            offset = extent(value.meta.storage_offset())
            self._places[value] = (_storage(value), value.shape, strides, offset, value.dtype)
        return self._places[value]

    def _enter(self, step: Step, operands: list[Value], position: int, value: Value) -> None:
        if is_eval_alias(step.target, step.arguments) and position == 0:
            same = self.key(operands[0])
            if self.key(value) != same:
                self._merged[self.key(value)] = same
        key = self.key(value)
        source = next((v for v in operands if v is not value and self.key(v) == key), None)
        if source is not None:
            self._views[value] = _View(step, source, step.arguments, position)
        self.members.setdefault(key, []).append(value)

    def write(self, step: Step, written: Value, new: Value, index: int, current: dict[Value, Value]) -> list[Step]:
        """The steps that carry a write on to the other names.

        ``written`` is the name that ``step``, number ``index``, writes through, ``new`` what it holds then.
        ``current`` says which value each name stands for, and is brought up to date. Raises ViewWrite for a view
        that cannot be undone or taken again, and ConvertError for one that its operator does not own up to.
        """
        # A view that is made later is made from the new value.
        members = [v for v in self.members[self.key(written)] if self._born.get(v, -1) <= index]
        read_later = [v for v in members if self._last_read.get(v, -1) > index]
        fresh = {self._place(written): new}
        steps: list[Step] = []
        self._refuse_overlap(written, step)
        self._refuse_hidden([written, *read_later], step)
        if any(self._place(v) not in fresh for v in read_later):
            self._undo(written, fresh, current, steps)
            retaken: dict[Step, list[Value]] = {}
            for value in read_later:
                self._retake(value, fresh, retaken, steps)
        for value in members:
            now = fresh.get(self._place(value))
            end = current_of(value, current)
            if now is not None and now is not end:
                current[end] = now
        return steps

    def _refuse_hidden(self, names: list[Value], step: Step) -> None:
        """Refuse a write beside a result that is a view by accident, such as einsum's where it only permutes.

        Eager and the trace need not agree on it, and torch's functionalisation does not know of it.
        """
        for value in names:
            view = self._views.get(value)
            while view is not None:
                if not _is_same(view) and not _is_declared(view.step):
                    raise ConvertError(
                        "the model writes to memory that another result may share",
                        problems=[step.problem(f"the result of {_base(view.step)} may or may not be a view of it")],
                        hint=f"write to a copy: put .clone() behind {_base(view.step)}, or use an operation that is "
                        "not in place",
                    )
                view = self._views.get(view.source)

    def _refuse_overlap(self, written: Value, step: Step) -> None:
        """Refuse a write through a view that shows an element in two places, or through ``unfold``.

        Torch's functionalisation (2.13) gets both wrong: a write to one row of ``expand`` does not reach the others,
        and what ``unfold`` leaves over becomes 0.
        """
        value = written
        while (view := self._views.get(value)) is not None:
            if _overlaps(value) or _base(view.step) == "unfold":
                raise ConvertError(
                    "the model writes through a view that may show an element more than once",
                    problems=[step.problem(f"it writes to what {_base(view.step)} made")],
                    hint=f"put .clone() behind {_base(view.step)}, or write to the tensor that it was made from",
                )
            value = view.source

    def _undo(self, written: Value, fresh: dict[Any, Value], current: dict[Value, Value], steps: list[Step]) -> None:
        """Write through to the tensors that ``written`` is a view of, up to the one that is none."""
        value = written
        while (view := self._views.get(value)) is not None:
            if self._place(view.source) not in fresh:
                part = fresh[self._place(value)]
                if _is_same(view):
                    fresh[self._place(view.source)] = part
                else:
                    steps.append(_undone(view, value, current_of(view.source, current), part))
                    fresh[self._place(view.source)] = steps[-1].outputs[0]
            value = view.source

    def _retake(
        self, value: Value, fresh: dict[Any, Value], retaken: dict[Step, list[Value]], steps: list[Step]
    ) -> Value:
        """What a name stands for after the write."""
        if (known := fresh.get(self._place(value))) is not None:
            return known
        view = self._views.get(value)
        if view is None:
            raise ViewWrite("two tensors of one memory, neither of which is a view of the other")
        whole = self._retake(view.source, fresh, retaken, steps)
        if _is_same(view) or self._place(view.source) == self._place(value):
            fresh[self._place(value)] = whole
            return whole
        if view.step not in retaken:
            if _base(view.step) not in _RETAKEN or value.dtype != view.source.dtype:
                raise ViewWrite(view.step.target)
            outputs = [Value(RESULT, v.meta) for v in view.step.outputs]
            arguments = {k: whole if a is view.source else a for k, a in view.arguments.items()}
            steps.append(Step(view.step.target, view.step.overload, arguments, outputs, view.step.origin))
            retaken[view.step] = outputs
        fresh[self._place(value)] = retaken[view.step][view.position]
        return fresh[self._place(value)]


def _overlaps(value: Value) -> bool:
    """Whether two of the tensor's places may be one in memory, by its strides."""
    reach = 0
    dims = [(extent(s), extent(d)) for s, d in zip(value.meta.stride(), value.meta.shape, strict=True)]
    if not all(isinstance(number, int) for dim in dims for number in dim) or any(d == 0 for _, d in dims):
        return False
    for stride, size in sorted(dim for dim in dims if dim[1] > 1):
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def current_of(value: Value, current: dict[Value, Value]) -> Value:
    """What a name stands for now."""
    while value in current:
        value = current[value]
    return value


def _storage(value: Value) -> Any:
    try:
        return value.meta.untyped_storage()._cdata
    except (AttributeError, NotImplementedError, RuntimeError):
        # No tensor, or one without memory: it has no aliases.
        return ("none", id(value))


def _base(step: Step) -> str:
    return step.target.removeprefix("aten.").partition(".")[0]


def _is_same(view: _View) -> bool:
    return is_eval_alias(view.step.target, view.step.arguments)


def _is_declared(step: Step) -> bool:
    """Whether the operator's schema says that its result may be its operand's memory."""
    schema = getattr(step.overload, "_schema", None)
    return _base(step) in _RETAKEN or (schema is not None and any(r.alias_info is not None for r in schema.returns))


def _undone(view: _View, value: Value, whole: Value, part: Value) -> Step:
    """``whole`` with the elements that ``view`` shows replaced by ``part``."""
    undo = _UNDO.get(_base(view.step))
    if undo is None or value.dtype != view.source.dtype or not all(isinstance(d, int) for d in view.source.shape):
        raise ViewWrite(view.step.target)
    packet, overload, arguments = undo(view, whole, part)
    found = getattr(getattr(_aten(), packet), overload)
    return Step(str(found), found, arguments, [Value(RESULT, view.source.meta)], view.step.origin)


def _aten() -> Any:
    import torch

    return torch.ops.aten


_Call = tuple[str, str, dict[str, Any]]


def _into_slice(view: _View, whole: Value, part: Value) -> _Call:
    chosen = {k: view.arguments[k] for k in ("dim", "start", "end", "step")}
    return "slice_scatter", "default", {"self": whole, "src": part, **chosen}


def _into_place(view: _View, whole: Value, part: Value) -> _Call:
    return "select_scatter", "default", {
        "self": whole, "src": part, "dim": view.arguments["dim"], "index": view.arguments["index"]
    }  # fmt: skip


def _into_row(view: _View, whole: Value, part: Value) -> _Call:
    return "select_scatter", "default", {
        "self": whole, "src": part, "dim": view.arguments["dim"], "index": view.position
    }  # fmt: skip


def _into_piece(view: _View, whole: Value, part: Value) -> _Call:
    dim = view.arguments["dim"]
    start = sum(v.shape[dim] for v in view.step.outputs[: view.position])
    span = {"dim": dim, "start": start, "end": start + part.shape[dim], "step": 1}
    return "slice_scatter", "default", {"self": whole, "src": part, **span}


def _into_diagonal(view: _View, whole: Value, part: Value) -> _Call:
    chosen = {k: view.arguments[k] for k in ("offset", "dim1", "dim2")}
    return "diagonal_scatter", "default", {"self": whole, "src": part, **chosen}


def _reshaped(view: _View, whole: Value, part: Value) -> _Call:
    return "reshape", "default", {"self": part, "shape": list(view.source.shape)}


def _transposed(view: _View, whole: Value, part: Value) -> _Call:
    return "transpose", "int", {"self": part, "dim0": view.arguments["dim0"], "dim1": view.arguments["dim1"]}


def _matrix_transposed(view: _View, whole: Value, part: Value) -> _Call:
    return "t", "default", {"self": part}


def _permuted(view: _View, whole: Value, part: Value) -> _Call:
    dims = [d % len(part.shape) for d in view.arguments["dims"]]
    return "permute", "default", {"self": part, "dims": [dims.index(d) for d in range(len(dims))]}


_UNDO: Final[dict[str, Callable[[_View, Value, Value], _Call]]] = {
    "slice": _into_slice,
    "select": _into_place,
    "unbind": _into_row,
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _into_piece),
    "diagonal": _into_diagonal,
    # Row-major order is kept.
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as"), _reshaped),
    **dict.fromkeys(("atleast_1d", "atleast_2d", "atleast_3d"), _reshaped),
    "transpose": _transposed,
    "t": _matrix_transposed,
    "permute": _permuted,
}

#: views that are the same function of the elements wherever these lie in memory
_RETAKEN: Final = frozenset(_UNDO) | {"expand", "expand_as", "narrow"}
