"""Reading and writing by index, strided views, tables of rows, and patches of images."""

from __future__ import annotations

from typing import Any

from torch2nx.aten.row import CannotConvert, Draft, Table, rows
from torch2nx.trace import Value


def _index(draft: Draft) -> None:
    if any(str(v.dtype) in ("torch.bool", "torch.uint8") for r, v in draft.operands.items() if r.startswith("indices")):
        raise CannotConvert("a mask as an index selects a number of elements that depends on the data")


def _layout(value: Value) -> tuple[Any, Any, Any]:
    """(storage offset, whether it lies densely in row-major order, its memory), as torch laid it out."""
    meta = value.data if value.data is not None else value.meta
    return meta.storage_offset(), meta.is_contiguous(), meta.untyped_storage()._cdata


def _strided_view(draft: Draft) -> None:
    """The operand must be the tensor whose memory torch reads: one that stands in for it may lie otherwise."""
    if _layout(draft.outputs[0])[2] != _layout(draft.operands["self"])[2]:
        raise CannotConvert("it reads the memory of a tensor that is not kept")
    _strided(draft)


def _strided(draft: Draft) -> None:
    """Strides count elements of memory in torch and elements of the operand here: only where that is the same."""
    operand = draft.operands["self"]
    offset, dense, _ = _layout(operand)
    if not dense:
        raise CannotConvert("it reads the memory of a tensor that does not lie in row-major order")
    start, size, stride = (draft.attrs[k] for k in ("storage_offset", "size", "stride"))
    start = 0 if start is None else start - offset
    last = start + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    elements = 1
    for extent in operand.shape:
        elements *= extent
    if 0 not in size and not 0 <= start <= last < elements:
        raise CannotConvert("it reads memory outside the tensor")
    draft.attrs["storage_offset"] = start


def _bag(draft: Draft) -> None:
    """Only the folded rows; the rest of what it returns is for training."""
    draft.keep_outputs(1)
    draft.attrs.setdefault("padding_idx", None)


ROWS: Table = {
    **rows("gather index_select take take_along_dim one_hot"),
    **rows("index.Tensor", _index),
    **rows("_unsafe_index.Tensor", _index, op="index"),
    **rows("_unsafe_masked_index", _index),
    **rows("scatter.src scatter.value scatter.reduce scatter.value_reduce scatter_add scatter_reduce.two"),
    **rows("index_add index_copy index_fill.int_Scalar index_fill.int_Tensor index_reduce"),
    **rows("index_put put masked_scatter diagonal_scatter"),
    **rows("_unsafe_index_put", op="index_put"),
    **rows("diagonal_copy", op="diagonal"),
    **rows("unfold_copy", op="unfold"),
    **rows("as_strided", _strided_view),
    **rows("as_strided_scatter", _strided),
    **rows("as_strided_copy", _strided, op="as_strided"),
    **rows("embedding_bag embedding_bag.padding_idx", _bag),
    **rows("im2col col2im max_unpool2d max_unpool3d"),
}
