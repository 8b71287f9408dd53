"""What an op does to its operand's bytes, asked of its reference instead of a list of names."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from optima.graph import Op, TensorType
from optima.ops.entry import Trait
from optima.ops.reference import call_reference, dtype_name
from optima.ops.registry import entry_of

_ASKED = (Trait.VIEW, Trait.RESHAPE, Trait.ELEMENTWISE)


def keeps_bytes(op: Op, operand: TensorType, output: TensorType) -> bool:
    """Whether the op's output is, byte by byte, its one operand, given that this is dense and row-major.

    True for a RESHAPE by its trait; for other views and elementwise ops when the reference, on a tensor
    without data, returns a view of it that begins at its first element and is row-major itself: a full slice,
    a permutation that moves only axes of extent 1, ``to`` the same dtype, dropout at inference.
    """
    entry = entry_of(op.op)
    if entry is None or len(op.inputs) != 1 or len(op.outputs) != 1:
        return False
    if operand.dtype != output.dtype or operand.numel != output.numel or operand.dtype.startswith("complex"):
        return False
    if entry.has(Trait.RESHAPE):
        return True
    if not any(map(entry.has, _ASKED)):
        return False
    return _returns_its_operand(op.op, op.roles[0], tuple(sorted(op.attrs.items())), operand)


@lru_cache(maxsize=4096)
def _returns_its_operand(
    kind: str, role: str, attrs: tuple[tuple[str, Any], ...], operand: TensorType
) -> bool:
    import torch

    op = Op(kind, kind, (role,), (role,), ("out",), dict(attrs))
    x = torch.empty(operand.shape, dtype=getattr(torch, operand.dtype), device="meta")
    try:
        with torch.no_grad():
            (y,) = call_reference(op, [x])
    # A user's reference may not run without data, and fail in any way of its own: then nothing is known.
    except Exception:  # noqa: BLE001
        return False
    return (
        y.device.type == "meta"
        and y.untyped_storage()._cdata == x.untyped_storage()._cdata
        and x._version == 0
        and y.storage_offset() == 0
        and y.is_contiguous()
        and not y.is_neg()
        and dtype_name(y.dtype) == operand.dtype
        and y.numel() == x.numel()
    )
