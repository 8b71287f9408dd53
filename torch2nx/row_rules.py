"""Which calls treat the rows along a bounded dimension one by one, so that padding after the count changes nothing.

A bounded dimension holds its valid rows first; what follows is padding. A call keeps this true if no valid row of
its results depends on the padding, and the rows stay in their places. Each rule here raises ``Mixes`` with the
reason where that is not so. Where a result is bounded is told by torch's own sizes, not by the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch2nx.trace import Step, Value

#: the bounded dimensions of a value: axis -> the size's name (any hashable that stands for it)
Axes = Mapping[int, Any]
AxesOf = Callable[[Value], Axes]
Rule = Callable[[Step, AxesOf], None]


class Mixes(Exception):
    """Why a call does not treat the rows of a bounded dimension one by one."""


def check(step: Step, axes_of: AxesOf) -> None:
    """Raise Mixes unless the step keeps the rows of every bounded dimension apart and in place."""
    rule = _rule(step)
    if rule is None:
        raise Mixes("it is not known to treat the boxes that nms keeps one by one")
    rule(step, axes_of)


def _rule(step: Step) -> Rule | None:
    import torch

    if step.overload is None:
        return None
    base = step.target.split(".")[1] if step.target.startswith("aten.") else ""
    if base and torch.Tag.pointwise in step.overload.tags:
        return _elementwise
    return _RULES.get(base)


def _bounded(step: Step, axes_of: AxesOf) -> list[tuple[str, Value, Axes]]:
    """(argument, value, axes) of the operands that have a bounded dimension."""
    found = []
    for name, argument in step.arguments.items():
        members = argument if isinstance(argument, list) else [argument]
        found += [(name, v, a) for v in members if isinstance(v, Value) and v.is_tensor and (a := axes_of(v))]
    return found


def _free(step: Step, axes_of: AxesOf) -> None:
    """Any place of a bounded dimension will do."""


def _elementwise(step: Step, axes_of: AxesOf) -> None:
    """Operands broadcast: at a bounded dimension each has the same size, or 1."""
    tensors = [v for v in step.operands if v.is_tensor]
    rank = max((len(v.shape) for v in tensors), default=0)
    sizes: dict[int, Any] = {}
    for value in tensors:
        for axis, name in axes_of(value).items():
            if sizes.setdefault(axis + rank - len(value.shape), name) != name:
                raise Mixes("it combines the rows of two different unknown sizes")
    for value in tensors:
        for axis, size in enumerate(value.shape):
            if axis not in axes_of(value) and axis + rank - len(value.shape) in sizes and size != 1:
                raise Mixes(f"it combines an unknown number of rows with {size}")


def _reshape(step: Step, axes_of: AxesOf) -> None:
    """A bounded dimension stays whole: the same number of elements stands before it."""
    (operand,) = [v for v in step.operands if v.is_tensor][:1]
    if _places(operand, axes_of) != _places(step.outputs[0], axes_of):
        raise Mixes("it merges the boxes that nms keeps with another dimension")


def _expand(step: Step, axes_of: AxesOf) -> None:
    """A bounded dimension is not stretched: torch takes for granted then that it is 1."""
    operand, result = step.arguments["self"], step.outputs[0]
    shift = len(result.shape) - len(operand.shape)
    if any(axes_of(result).get(axis + shift) != name for axis, name in axes_of(operand).items()):
        raise Mixes("it gives the boxes that nms keeps another number")


def _squeeze(step: Step, axes_of: AxesOf) -> None:
    """A bounded dimension may turn out to be 1, and would vanish then."""
    operand, dim = step.arguments["self"], step.arguments.get("dim")
    dims = dim if isinstance(dim, list) else range(len(operand.shape)) if dim is None else [dim]
    if any(d % len(operand.shape) in axes_of(operand) for d in dims):
        raise Mixes("it removes the dimension of the boxes that nms keeps when there is one box: name another dim")


def _places(value: Value, axes_of: AxesOf) -> list[tuple[int, Any]]:
    places, before = [], 1
    for axis, size in enumerate(value.shape):
        if axis in axes_of(value):
            places.append((before, axes_of(value)[axis]))
        else:
            before *= size
    return places


def _along(*names: str, first: str = "") -> Rule:
    """Not along the dimensions in the arguments ``names`` (absent or None: all) of the bounded operands.

    ``first`` restricts which argument may be bounded at all.
    """

    def rule(step: Step, axes_of: AxesOf) -> None:
        given = next((step.arguments[n] for n in names if step.arguments.get(n) is not None), None)
        for name, value, axes in _bounded(step, axes_of):
            if first and name != first:
                raise Mixes(f"its {name} has an unknown number of rows")
            rank = max(len(value.shape), 1)
            dims = [d % rank for d in (given if isinstance(given, list) else [given])] if given is not None else []
            hit = [d for d in (dims or range(rank)) if d in axes]
            if hit:
                raise Mixes(f"it mixes the boxes that nms keeps (dimension {hit[0]}), whose number it does not know")

    return rule


def _same_axes(dim: str, new_axis: bool) -> Rule:
    """cat and stack: members are bounded alike, and not along ``dim``."""

    def rule(step: Step, axes_of: AxesOf) -> None:
        members = [v for v in step.operands if v.is_tensor]
        if any(dict(axes_of(v)) != dict(axes_of(members[0])) for v in members):
            raise Mixes("its operands have different unknown numbers of rows")
        place = step.arguments.get(dim, step.arguments.get("axis"))
        if not new_axis and isinstance(place, int) and place % max(len(members[0].shape), 1) in axes_of(members[0]):
            raise Mixes("it joins along a dimension whose size is known only at run time")

    return rule


def _select(step: Step, axes_of: AxesOf) -> None:
    """The first row always exists; which others do is known only at run time."""
    operand, dim, index = (step.arguments[k] for k in ("self", "dim", "index"))
    if dim % len(operand.shape) in axes_of(operand) and index != 0:
        raise Mixes(f"row {index} of the boxes that nms keeps may not exist, or is found only at run time")


def _index(step: Step, axes_of: AxesOf) -> None:
    """Index tensors may be bounded; the dimensions that they select in may not."""
    operand, indices = step.arguments["self"], step.arguments["indices"]
    tensors = [v for v in indices if isinstance(v, Value)]
    if any(str(v.dtype) in ("torch.bool", "torch.uint8") for v in tensors):
        raise Mixes("a mask as an index selects a number of elements that depends on the data")
    rank = max((len(v.shape) for v in tensors), default=0)
    seen: dict[int, Any] = {}
    for value in tensors:
        for axis, name in axes_of(value).items():
            seen[axis + rank - len(value.shape)] = name
    for value in tensors:
        for axis, size in enumerate(value.shape):
            place = axis + rank - len(value.shape)
            if place in seen and axes_of(value).get(axis) != seen[place] and size != 1:
                raise Mixes("its indices have different unknown numbers of rows")
    if any(axis < len(indices) and isinstance(indices[axis], Value) for axis in axes_of(operand)):
        raise Mixes("it looks up rows among the boxes that nms keeps, whose number it does not know")


def _lookup(source: str, index: str) -> Rule:
    """index_select, gather, embedding: rows of ``source`` by an index, which may be bounded."""

    def rule(step: Step, axes_of: AxesOf) -> None:
        looked_up, picked, dim = step.arguments[source], step.arguments[index], step.arguments.get("dim", 0)
        axes = axes_of(looked_up)
        if axes and (not isinstance(dim, int) or dim % len(looked_up.shape) in axes):
            raise Mixes("it looks up rows among the boxes that nms keeps, whose number it does not know")
        if axes and index != "index":
            raise Mixes("it looks up values beside the boxes that nms keeps")
        beside = {a: n for a, n in axes_of(picked).items() if a != dim % len(looked_up.shape)}
        if "gather" in step.target and beside != dict(axes):
            raise Mixes("its operands have different unknown numbers of rows")

    return rule


def _last(*names: str, first: str = "input") -> Rule:
    """Only ``first`` may be bounded, and not in the trailing dimensions, as many as ``names`` (a list) says or 1."""

    def rule(step: Step, axes_of: AxesOf) -> None:
        count = max([1, *(len(step.arguments[n]) for n in names)])
        for name, value, axes in _bounded(step, axes_of):
            if name != first or any(axis >= len(value.shape) - count for axis in axes):
                raise Mixes("it mixes the boxes that nms keeps, whose number it does not know")

    return rule


def _batch(first: str, like: str = "") -> Rule:
    """Only the leading dimension of ``first`` may be bounded: images or regions that are treated one by one.

    A convolution's input has a leading dimension of that kind if its rank is that of ``like``.
    """

    def rule(step: Step, axes_of: AxesOf) -> None:
        for name, value, axes in _bounded(step, axes_of):
            batched = not like or len(value.shape) == len(step.arguments[like].shape)
            if name != first or set(axes) != {0} or not batched:
                raise Mixes("it treats only the members of a batch one by one")
        if step.arguments.get("training"):
            raise Mixes("it takes statistics over the boxes that nms keeps")

    return rule


def _product(left: str, right: str) -> Rule:
    """Matrix products: not in the dimension that is summed over."""

    def rule(step: Step, axes_of: AxesOf) -> None:
        a, b = step.arguments[left], step.arguments[right]
        inner = len(b.shape) - 2 if len(b.shape) > 1 else 0
        if len(a.shape) - 1 in axes_of(a) or inner in axes_of(b):
            raise Mixes("it sums over the boxes that nms keeps, whose number it does not know")
        batch_a = {axis - len(a.shape): name for axis, name in axes_of(a).items() if axis < len(a.shape) - 2}
        batch_b = {axis - len(b.shape): name for axis, name in axes_of(b).items() if axis < len(b.shape) - 2}
        if batch_a and batch_b and batch_a != batch_b:
            raise Mixes("its operands have different unknown numbers of rows")

    return rule


def _table(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: Final[dict[str, Rule]] = {
    **_table(
        "to _to_copy clone contiguous detach detach_ alias lift_fresh lift_fresh_copy dropout alpha_dropout "
        "feature_dropout requires_grad_ unsqueeze transpose permute t mT numpy_T swapaxes swapdims "
        "movedim moveaxis zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty zeros ones "
        "full empty arange one_hot",
        _free,
    ),
    **_table(
        "type_as hardswish floor_divide log_sigmoid log_sigmoid_forward absolute negative arcsin arccos arctan fix "
        "special_expit special_erf rsub subtract multiply divide true_divide not_equal less less_equal greater "
        "greater_equal __and__ __or__ where masked_fill expand_as copy",
        _elementwise,
    ),
    **_table("expand broadcast_to", _expand),
    **_table("squeeze", _squeeze),
    **_table("view reshape _unsafe_view _reshape_alias flatten unflatten", _reshape),
    **_table(
        "sum mean amax amin max min argmax argmin prod any all var std norm linalg_vector_norm logsumexp softmax "
        "log_softmax _softmax _log_softmax cumsum cumprod sort topk argsort flip split split_with_sizes unsafe_split "
        "chunk unbind narrow glu median kthvalue",
        _along("dim", "dims", first="self"),
    ),
    **_table("cat concat concatenate", _same_axes("dim", False)),
    **_table("stack", _same_axes("dim", True)),
    **_table("select", _select),
    **_table("index", _index),
    **_table("index_select gather", _lookup("self", "index")),
    **_table("take_along_dim", _lookup("self", "indices")),
    **_table("embedding", _lookup("weight", "indices")),
    **_table("linear", _last()),
    **_table("layer_norm rms_norm", _last("normalized_shape")),
    **_table("conv1d conv2d conv3d", _batch("input", "weight")),
    **_table("batch_norm", _batch("input")),
    **_table("max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d", _batch("self")),
    **_table("matmul mm bmm", _product("self", "mat2")),
}
_RULES["matmul"] = _product("self", "other")
