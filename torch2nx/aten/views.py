"""Views, joins, splits, padding, and rearrangements."""

from __future__ import annotations

from collections.abc import Callable

from torch2nx.aten.row import CannotConvert, Draft, Table, rows


def _reshape(draft: Draft) -> None:
    """Any way to a new shape in row-major order, with the shape spelt out."""
    draft.operands = {"self": draft.operands["self"]}
    draft.attrs = {"shape": list(draft.outputs[0].shape)}


def _expand(draft: Draft) -> None:
    draft.operands = {"self": draft.operands["self"]}
    draft.attrs = {"size": list(draft.outputs[0].shape)}


def _transpose_pair(draft: Draft) -> None:
    first, second = draft.attrs.values()
    draft.attrs = {"dim0": first, "dim1": second}


def _transpose_last(draft: Draft) -> None:
    """``.t()``, ``.T`` of a matrix, ``.mT``: the last two axes; nothing below a matrix."""
    below = len(draft.operands["self"].shape) < 2
    draft.attrs = {"dim0": -1 if below else -2, "dim1": -1}


def _reverse_axes(draft: Draft) -> None:
    draft.attrs = {"dims": list(range(len(draft.operands["self"].shape)))[::-1]}


def _move_axes(draft: Draft) -> None:
    """``movedim`` as the permutation that it is."""
    rank = len(draft.operands["self"].shape)
    source, target = ([d % rank for d in (v if isinstance(v, list) else [v])] for v in list(draft.attrs.values())[:2])
    order: list[int] = [-1] * rank
    for s, t in zip(source, target, strict=True):
        order[t] = s
    rest = iter(d for d in range(rank) if d not in source)
    draft.attrs = {"dims": [next(rest) if d < 0 else d for d in order]}


def _slice(draft: Draft) -> None:
    """Bounds clamped to the axis, as torch clamps them."""
    operand = draft.operands["self"]
    size = int(operand.shape[draft.attrs["dim"]])

    def bound(value: int | None, default: int) -> int:
        value = default if value is None else value
        return min(max(value + size if value < 0 else value, 0), size)

    draft.attrs["start"] = bound(draft.attrs["start"], 0)
    draft.attrs["end"] = bound(draft.attrs["end"], size)


def _narrow(draft: Draft) -> None:
    start, length = draft.attrs["start"], draft.attrs["length"]
    if not isinstance(start, int):
        raise CannotConvert("its start is a tensor")
    start += draft.operands["self"].shape[draft.attrs["dim"]] if start < 0 else 0
    draft.attrs = {"dim": draft.attrs["dim"], "start": start, "end": start + length, "step": 1}


def _squeeze(draft: Draft) -> None:
    draft.attrs.setdefault("dim", None)


def _unflatten(draft: Draft) -> None:
    draft.drop("names")


def _cat(draft: Draft) -> None:
    """Torch skips empty one-dimensional members whatever the rank of the others."""
    if any(len(v.shape) != 1 for v in draft.operands.values()):
        members = [v for v in draft.operands.values() if tuple(v.shape) != (0,)]
        draft.operands = {f"tensors.{i}": v for i, v in enumerate(members)}
    if "axis" in draft.attrs:
        draft.rename(axis="dim")


def _pad(draft: Draft) -> None:
    if draft.attrs["mode"] == "constant" and draft.attrs["value"] is None:
        draft.attrs["value"] = 0.0


def _constant_pad(draft: Draft) -> None:
    draft.attrs = {"pad": draft.attrs["pad"], "mode": "constant", "value": draft.attrs["value"]}


def _padding(mode: str, amounts: str = "padding") -> Callable[[Draft], None]:
    def adapt(draft: Draft) -> None:
        draft.attrs = {"pad": draft.attrs[amounts], "mode": mode, "value": None}

    return adapt


def _tile(draft: Draft) -> None:
    operand, repeats = draft.operands["self"], draft.attrs.pop("dims")
    draft.attrs = {"repeats": [1] * (len(operand.shape) - len(repeats)) + repeats}


def _tensor_split(draft: Draft) -> None:
    dim = draft.attrs["dim"]
    draft.attrs = {"split_sizes": [v.shape[dim] for v in draft.outputs], "dim": dim}


ROWS: Table = {
    **rows("view reshape _unsafe_view _reshape_alias view_as reshape_as ravel", _reshape, op="reshape"),
    **rows("flatten.using_ints unsqueeze"),
    **rows("unflatten.int", _unflatten),
    **rows("squeeze squeeze.dim squeeze.dims", _squeeze),
    **rows("transpose.int"),
    **rows("swapaxes swapdims", _transpose_pair, op="transpose"),
    **rows("t mT", _transpose_last, op="transpose"),
    **rows("numpy_T", _reverse_axes, op="permute"),
    **rows("permute"),
    **rows("movedim.int movedim.intlist moveaxis.int moveaxis.intlist", _move_axes, op="permute"),
    **rows("slice.Tensor slice_scatter", _slice),
    **rows("narrow", _narrow, op="slice"),
    **rows("select.int select_scatter diagonal unfold"),
    **rows("expand expand_as broadcast_to", _expand, op="expand"),
    **rows("split.Tensor split_with_sizes chunk unbind.int"),
    **rows("split.sizes", op="split_with_sizes"),
    **rows("unsafe_split.Tensor", op="split"),
    **rows("unsafe_split_with_sizes", op="split_with_sizes"),
    **rows("unsafe_chunk", op="chunk"),
    **rows("tensor_split.sections tensor_split.indices", _tensor_split, op="split_with_sizes"),
    **rows("cat", _cat),
    **rows("concat concatenate", _cat, op="cat"),
    **rows("stack"),
    **rows("pad", _pad),
    **rows("constant_pad_nd", _constant_pad, op="pad"),
    **rows("reflection_pad1d reflection_pad2d reflection_pad3d", _padding("reflect"), op="pad"),
    **rows("replication_pad1d replication_pad2d replication_pad3d", _padding("replicate"), op="pad"),
    **rows("view.dtype view_copy.dtype", op="view"),
    **rows("alias_copy detach_copy", op="alias"),
    **rows("view_copy _reshape_copy", _reshape, op="reshape"),
    **rows("expand_copy", _expand, op="expand"),
    **rows("permute_copy", op="permute"),
    **rows("transpose_copy.int", op="transpose"),
    **rows("t_copy", _transpose_last, op="transpose"),
    **rows("squeeze_copy squeeze_copy.dim squeeze_copy.dims", _squeeze, op="squeeze"),
    **rows("unsqueeze_copy", op="unsqueeze"),
    **rows("slice_copy.Tensor", _slice, op="slice"),
    **rows("narrow_copy", _narrow, op="slice"),
    **rows("select_copy.int", op="select"),
    **rows("diagonal_copy", op="diagonal"),
    **rows("unfold_copy", op="unfold"),
    **rows("split_copy.Tensor", op="split"),
    **rows("split_with_sizes_copy", op="split_with_sizes"),
    **rows("unbind_copy.int", op="unbind"),
    **rows("_pad_circular", _padding("circular", "pad"), op="pad"),
    **rows("repeat repeat_interleave.self_int flip roll tril triu"),
    **rows("tile", _tile, op="repeat"),
}
