"""Views and other rearrangements: the same elements under another shape or order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.indices import axis, dense_index, slice_bounds
from optima.ops.onnx.routes import with_onnx
from optima.ops.onnx.views import ROUTES
from optima.ops.pointwise import Tensors, read, supported
from optima.ops.reference import aten
from optima.ops.tflite.routes import with_tflite
from optima.ops.tflite.views import ROUTES as TFLITE

Index = Sequence[Any]
_COPY = frozenset({Trait.VIEW, Trait.RESHAPE, Trait.INJECTIVE})
_VIEW = frozenset({Trait.VIEW, Trait.INJECTIVE})
_MOVE = frozenset({Trait.INJECTIVE})


def rearrangement(
    name: str,
    source: Callable[[OpView, Index], Index],
    attrs: Mapping[str, Any] | None = None,
    traits: frozenset[Trait] = _VIEW,
    reference: Callable[..., Any] | None = None,
) -> OpEntry:
    """An entry whose output element at ``index`` is the operand's at ``source(view, index)``."""

    def compute(view: OpView, tensors: Tensors) -> list[Any]:
        from tvm import te

        x = tensors["self"]
        return [te.compute(view.outputs[0].shape, lambda *i: x(*source(view, i)), name=view.op)]

    return OpEntry(name, ("self",), reference or aten(name), attrs or {}, traits, supported(compute))


def _reshaped(view: OpView, index: Index) -> Index:
    return dense_index(view.first.shape, view.outputs[0].shape, index)


def _squeeze(**arguments: Any) -> Any:
    import torch

    dim = arguments.pop("dim")
    if dim is not None:
        arguments["dim"] = dim
    return torch.ops.aten.squeeze(**arguments)


def _permuted(view: OpView, order: Sequence[int], index: Index) -> Index:
    """The operand's index, where output dimension ``k`` is operand dimension ``order[k]``."""
    place: list[Any] = [None] * len(index)
    for k, dim in enumerate(order):
        place[axis(dim, len(index))] = index[k]
    return place


def _transpose(view: OpView, index: Index) -> Index:
    rank = len(index)
    if rank == 0:
        return index
    order = list(range(rank))
    a, b = axis(view.attrs["dim0"], rank), axis(view.attrs["dim1"], rank)
    order[a], order[b] = b, a
    return _permuted(view, order, index)


def _movedim(view: OpView, index: Index) -> Index:
    rank = len(index)
    given = [(_listed(view.attrs[key])) for key in ("source", "destination")]
    source, target = ([axis(d, rank) for d in dims] for dims in given)
    order: list[int | None] = [None] * rank
    for s, t in zip(source, target, strict=True):
        order[t] = s
    rest = iter([d for d in range(rank) if d not in source])
    return _permuted(view, [next(rest) if d is None else d for d in order], index)


def _listed(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def _slice(view: OpView, index: Index) -> Index:
    a, shape = view.attrs, view.first.shape
    dim = axis(a["dim"], len(shape))
    start, step = slice_bounds(shape[dim], a["start"], a["end"])[0], a["step"]
    return [start + i * step if k == dim else i for k, i in enumerate(index)]


def _narrow(view: OpView, index: Index) -> Index:
    shape = view.first.shape
    dim = axis(view.attrs["dim"], len(shape))
    start = view.attrs["start"]
    start = start + shape[dim] if start < 0 else start
    return [i + start if k == dim else i for k, i in enumerate(index)]


def _select(view: OpView, index: Index) -> Index:
    shape = view.first.shape
    dim, at = axis(view.attrs["dim"], len(shape)), view.attrs["index"]
    return [*index[:dim], at % shape[dim], *index[dim:]]


def _diagonal(view: OpView, index: Index) -> Index:
    rank = len(view.first.shape)
    first, second = axis(view.attrs["dim1"], rank), axis(view.attrs["dim2"], rank)
    offset, rest = view.attrs["offset"], iter(index[:-1])
    place = {first: index[-1] + max(-offset, 0), second: index[-1] + max(offset, 0)}
    return [place[d] if d in place else next(rest) for d in range(rank)]


def _unfold(view: OpView, index: Index) -> Index:
    rank = len(view.first.shape)
    if rank == 0:
        return ()
    dim, step = axis(view.attrs["dimension"], rank), view.attrs["step"]
    return [i * step + index[-1] if k == dim else i for k, i in enumerate(index[:-1])]


def _expand(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x = tensors["self"]
    return [te.compute(view.outputs[0].shape, lambda *i: read(x, i), name=view.op)]


def _repeat(view: OpView, index: Index) -> Index:
    shape = view.first.shape
    tail = index[len(index) - len(shape) :]
    return [i % extent for i, extent in zip(tail, shape, strict=True)]


def _repeat_interleave(view: OpView, index: Index) -> Index:
    shape, dim, repeats = view.first.shape, view.attrs["dim"], view.attrs["repeats"]
    if dim is None:
        return dense_index(shape, (view.first.numel,), (index[0] // repeats,))
    at = axis(dim, len(shape))
    return [i // repeats if k == at else i for k, i in enumerate(index)]


def _flip(view: OpView, index: Index) -> Index:
    shape = view.first.shape
    flipped = {axis(d, len(shape)) for d in view.attrs["dims"]}
    return [shape[k] - 1 - i if k in flipped else i for k, i in enumerate(index)]


def _roll(view: OpView, index: Index) -> Index:
    shape, shifts, dims = view.first.shape, _listed(view.attrs["shifts"]), _listed(view.attrs["dims"])
    if not dims:
        flat = view.first.numel
        (linear,) = dense_index((flat,), shape, index)
        return dense_index(shape, (flat,), [_turned(linear, -shifts[0], flat)])
    total = [0] * len(shape)
    for shift, dim in zip(shifts, dims, strict=True):
        total[axis(dim, len(shape))] += shift
    return [_turned(i, -s, extent) for i, s, extent in zip(index, total, shape, strict=True)]


def _turned(place: Any, by: int, extent: int) -> Any:
    """``(place + by) % extent`` of a place within the extent.

    Not as a remainder: TVM 0.27 merges ``(f // 5 + 4) % 5 * 5 + (f % 5 + 3) % 5`` into ``(f + 23) % 25``.
    """
    from tvm import tirx

    by %= max(extent, 1)
    if by == 0:
        return place
    return tirx.Select(place < extent - by, place + by, place + (by - extent))


def _pixel_shuffle(view: OpView, index: Index) -> Index:
    r = view.attrs["upscale_factor"]
    *batch, c, h, w = index
    return [*batch, (c * r + h % r) * r + w % r, h // r, w // r]


def _pixel_unshuffle(view: OpView, index: Index) -> Index:
    r = view.attrs["downscale_factor"]
    *batch, c, h, w = index
    return [*batch, c // (r * r), h * r + c // r % r, w * r + c % r]


def _channel_shuffle(view: OpView, index: Index) -> Index:
    groups = view.attrs["groups"]
    per_group = view.first.shape[1] // groups
    return [index[0], index[1] % groups * per_group + index[1] // groups, *index[2:]]


def _contiguous(**arguments: Any) -> Any:
    import torch

    return torch.ops.aten.clone(**arguments, memory_format=torch.contiguous_format)


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        rearrangement("reshape", _reshaped, {"shape": REQUIRED}, _COPY),
        rearrangement("flatten", _reshaped, {"start_dim": 0, "end_dim": -1}, _COPY),
        rearrangement("unflatten", _reshaped, {"dim": REQUIRED, "sizes": REQUIRED}, _COPY),
        rearrangement("unsqueeze", _reshaped, {"dim": REQUIRED}, _COPY),
        rearrangement("squeeze", _reshaped, {"dim": None}, _COPY, _squeeze),
        *(rearrangement(name, lambda view, i: i, {}, _COPY) for name in ("alias", "detach", "positive", "clone")),
        rearrangement("contiguous", lambda view, i: i, {}, _COPY, _contiguous),
        rearrangement("transpose", _transpose, {"dim0": REQUIRED, "dim1": REQUIRED}),
        rearrangement("t", lambda view, i: i[::-1]),
        rearrangement("permute", lambda view, i: _permuted(view, view.attrs["dims"], i), {"dims": REQUIRED}),
        rearrangement("movedim", _movedim, {"source": REQUIRED, "destination": REQUIRED}),
        rearrangement("slice", _slice, {"dim": 0, "start": None, "end": None, "step": 1}),
        rearrangement("narrow", _narrow, {"dim": REQUIRED, "start": REQUIRED, "length": REQUIRED}),
        rearrangement("select", _select, {"dim": REQUIRED, "index": REQUIRED}),
        rearrangement("diagonal", _diagonal, {"offset": 0, "dim1": 0, "dim2": 1}),
        rearrangement("unfold", _unfold, {"dimension": REQUIRED, "size": REQUIRED, "step": REQUIRED}),
        OpEntry("expand", ("self",), aten("expand"), {"size": REQUIRED, "implicit": False}, _VIEW, supported(_expand)),
        rearrangement("repeat", _repeat, {"repeats": REQUIRED}, _MOVE),
        rearrangement(
            "repeat_interleave",
            _repeat_interleave,
            {"repeats": REQUIRED, "dim": None, "output_size": None},
            _MOVE,
        ),
        rearrangement("flip", _flip, {"dims": REQUIRED}, _MOVE),
        rearrangement("roll", _roll, {"shifts": REQUIRED, "dims": ()}, _MOVE),
        rearrangement("pixel_shuffle", _pixel_shuffle, {"upscale_factor": REQUIRED}, _MOVE),
        rearrangement("pixel_unshuffle", _pixel_unshuffle, {"downscale_factor": REQUIRED}, _MOVE),
        rearrangement("channel_shuffle", _channel_shuffle, {"groups": REQUIRED}, _MOVE),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
