"""Building blocks of elementwise kernels: broadcasting reads, promotion, and one compute per op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optima.ops.entry import OpView, Te
from optima.ops.exact_math import Scalar, cast, constant, let, math_dtype
from optima.ops.promotion import dtype_reason, is_float, result_type, scalar_fits, wrapped

Tensors = Mapping[str, Any]
Refuse = Callable[[OpView], str | None]

#: where torch makes a 0-d tensor of a Python scalar, which wraps; elsewhere it checks the range
_WRAPPED = ("self", "other")


def read(tensor: Any, index: Sequence[Any]) -> Scalar:
    """``tensor`` at an output index, broadcast: trailing dimensions align, extents of 1 stay at 0."""
    from tvm import tirx

    rank = len(tensor.shape)
    aligned = index[len(index) - rank :]
    zero = tirx.const(0, "int32")
    return tensor(*[zero if int(d) == 1 else i for i, d in zip(aligned, tensor.shape, strict=True)])


def common_dtype(view: OpView, roles: Sequence[str]) -> str:
    """torch.result_type of the operands, or scalars of the same name, in ``roles``."""
    tensors = [view.operands[r] for r in roles if r in view.operands]
    scalars = [view.attrs[r] for r in roles if r not in view.operands and view.attrs.get(r) is not None]
    return result_type(tensors, scalars)


def operand(view: OpView, tensors: Tensors, role: str, index: Sequence[Any], dtype: str) -> Scalar:
    """The value in ``role`` (a tensor, or a Python scalar among the attributes) as ``dtype``, ready to compute.

    It is rounded to ``dtype`` first, and then held in the dtype that ``dtype`` is computed in.
    """
    if role not in tensors:
        return constant(wrapped(view.attrs[role], dtype), dtype)
    return cast(cast(read(tensors[role], index), dtype), math_dtype(dtype))


def pointwise(
    function: Callable[..., Scalar],
    *roles: str,
    dtype: Callable[[OpView], str] | None = None,
    masks: tuple[str, ...] = (),
    refuse: Refuse = lambda view: None,
) -> Te:
    """The route of an op whose element depends on its operands' elements at the same place.

    ``function(view, a, b, ...)`` gets one scalar expression per role, or None for an absent optional one. They
    are in the dtype that ``dtype(view)`` names (default: the output's), in which the result is returned as well,
    unless it is bool. Roles in ``masks`` come as bools instead.
    """

    def compute_dtype(view: OpView) -> str:
        return dtype(view) if dtype else view.outputs[0].dtype

    def compute(view: OpView, tensors: Tensors) -> list[Any]:
        from tvm import te

        out, common = view.outputs[0], compute_dtype(view)

        def at(*index: Any) -> Scalar:
            return bound([], list(roles), index)

        def bound(values: list[Any], rest: list[str], index: Sequence[Any]) -> Scalar:
            """The function's value, each operand bound before the next is read."""
            if not rest:
                return cast(function(view, *values), out.dtype)
            role, *others = rest
            if role not in tensors and view.attrs.get(role) is None:
                return bound([*values, None], others, index)
            value = operand(view, tensors, role, index, "bool" if role in masks else common)
            return let(value, lambda v: bound([*values, v], others, index), role)

        return [te.compute(out.shape, at, name=view.op)]

    def reason(view: OpView) -> str | None:
        common_reason = dtype_reason(list(view.operands.values()), view.outputs)
        return common_reason or _scalar_reason(view, roles, compute_dtype(view)) or refuse(view)

    return Te(compute, reason)


def _scalar_reason(view: OpView, roles: Sequence[str], dtype: str) -> str | None:
    for role in roles:
        value = view.attrs.get(role)
        if role in view.operands or value is None:
            continue
        if not isinstance(value, bool | int | float):
            return f"{role}={value!r} is not a real number"
        if role not in _WRAPPED and not scalar_fits(value, dtype):
            return f"{role}={value!r} does not fit in {dtype}"
        if isinstance(value, float) and not is_float(dtype) and dtype != "bool":
            return f"{role}={value!r} is a float where {dtype} is computed"
    return None


def promoted(*roles: str) -> Callable[[OpView], str]:
    """For ``pointwise(dtype=)``: the promoted dtype of ``roles`` rather than the output's."""
    return lambda view: common_dtype(view, roles)


def supported(compute: Callable[[OpView, Tensors], list[Any]], refuse: Refuse = lambda view: None) -> Te:
    """A route that takes every dtype that has kernels, and what ``refuse`` lets pass."""

    def reason(view: OpView) -> str | None:
        return dtype_reason(list(view.operands.values()), view.outputs) or refuse(view)

    return Te(compute, reason)
