"""aten overload -> op: one file per family, each a table of the accepted overloads.

An argument that a row does not mention becomes an operand (tensors) or an attribute (the rest) under its name
in aten's schema, defaults filled in. A row has a function only where the call must be put into another form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from torch2nx.aten import (
    contraction,
    convolution,
    detection,
    elementwise,
    indexing,
    normalization,
    ordering,
    pooling,
    products,
    reduction,
    views,
)
from torch2nx.aten.row import CannotConvert, Draft, FollowsData, Row, draft_of
from torch2nx.extensions import extension_of, registered
from torch2nx.trace import Step, Value

__all__ = ["CannotConvert", "Draft", "FollowsData", "accepted", "convert"]

#: namespaces of operators that PyTorch brings
_OF_TORCH = ("aten", "prim", "prims", "torchvision", "quantized", "quantized_decomposed", "torch_nn")

_FAMILIES = (
    elementwise,
    contraction,
    convolution,
    normalization,
    ordering,
    pooling,
    products,
    reduction,
    views,
    indexing,
    detection,
)

#: why a step has no op that only follows from another
_UNKNOWN = "a shape or a number depends on the data"
_NO_OP = "no operator of Optima corresponds to it"

_DEPENDS = "its result's shape or value depends on the data: use torch.where(condition, a, b), a mask or topk"
_VMAP = "torch.vmap is not followed: write the batched form out"
_CONTROL_FLOW = "what is computed depends on the data: compute both sides and choose by torch.where"
#: what is in a trace without being an operator -> why it cannot be followed
_REASONS = {
    "wrap_with_autocast": "autocast computes in another type: convert the model itself to it (model.bfloat16())",
    "_add_batch_dim": _VMAP,
    "_remove_batch_dim": _VMAP,
    "aten.where.default": _DEPENDS,
    "cond": _CONTROL_FLOW,
    "while_loop": _CONTROL_FLOW,
}


@cache
def _table() -> dict[str, Row]:
    rows = [pair for family in _FAMILIES for pair in family.ROWS.items()]
    return {key if key.count(".") > 1 else f"aten.{key}": row for key, row in rows}


def accepted() -> dict[str, str]:
    """Every accepted overload (``aten.conv2d.default``) -> the op that it becomes; the user's own come last."""
    return {key: row.op for key, row in _table().items()} | registered()


def convert(step: Step, used: Callable[[Value], bool]) -> Draft:
    """The op that a step becomes; ``used`` tells whether anything reads an output.

    Raises CannotConvert with the reason when there is none: FollowsData where an earlier step is the cause.
    """
    if step.refusal:
        raise CannotConvert(step.refusal)
    own = extension_of(step.target)
    row = _table().get(step.target) if own is None else Row(own.op)
    if row is None:
        reason = _why_not(step)
        # Torch may have a definition for it, which needs to know the shapes.
        follows = reason == _NO_OP and not all(map(_is_known, step.operands))
        raise FollowsData(_UNKNOWN) if follows or _counts(step) else CannotConvert(reason)
    if not all(map(_is_known, step.operands)):
        raise FollowsData(_UNKNOWN)
    if not all(map(_is_known, step.outputs)):
        raise CannotConvert("how many elements its result has depends on the data")
    if any(v.dtype.is_complex for v in (*step.operands, *step.outputs)):
        raise CannotConvert("complex numbers are not supported")
    draft = draft_of(step, row.op, used)
    if row.adapt is not None:
        row.adapt(draft)
    return draft


def _is_known(value: Value) -> bool:
    """Whether it is a tensor of a shape that does not depend on the data."""
    return value.is_tensor and all(isinstance(d, int) for d in value.shape)


def _counts(step: Step) -> bool:
    """Whether a step only reads or computes sizes that depend on the data."""
    return step.target.startswith("aten.sym_") or (
        step.overload is None and any(not v.is_tensor for v in step.operands)
    )


def _why_not(step: Step) -> str:
    import torch

    written = step.arguments.get("0")
    if step.target.startswith("auto_functionalized") and written is not None:
        return f"{written} writes into its operands: define it to return a new tensor"
    if isinstance(step.overload, torch._ops.OpOverload) and step.overload.namespace not in _OF_TORCH:
        return "it is an operator of your own: register an entry for it"
    tags = getattr(step.overload, "tags", ())
    if torch.Tag.nondeterministic_seeded in tags:
        return "it draws random numbers: take them as an argument of forward"
    if torch.Tag.dynamic_output_shape in tags or any(not v.is_tensor for v in step.outputs if v.meta is not None):
        return _DEPENDS
    return _REASONS.get(step.target, _NO_OP)
