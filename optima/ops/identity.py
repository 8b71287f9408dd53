"""What an op does to its operand's bytes, asked of its reference instead of a list of names."""

from __future__ import annotations

from optima.graph import Op, TensorType
from optima.ops.entry import Trait
from optima.ops.reference import call_reference, dtype_name
from optima.ops.registry import entry_of

_ASKED = (Trait.VIEW, Trait.RESHAPE, Trait.ELEMENTWISE)
#: answers of references, which are pure: a model asks about the same relu a hundred times
_KNOWN: dict[tuple[str, tuple[str, ...], str, TensorType], bool] = {}


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
    # By text: 0, 0.0 and False are equal to Python but not to torch.
    key = (op.op, op.roles, repr(sorted(op.attrs.items())), operand)
    if key not in _KNOWN:
        _KNOWN[key] = _returns_its_operand(op, operand)
    return _KNOWN[key]


def _returns_its_operand(op: Op, operand: TensorType) -> bool:
    import torch

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
