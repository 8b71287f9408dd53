"""ONNX routes of views and other rearrangements."""

from __future__ import annotations

from collections.abc import Sequence

from optima.ops.entry import Onnx
from optima.ops.indices import axis, slice_bounds
from optima.ops.onnx.routes import ANY
from optima.ops.onnx.site import OpSite, dims, positive

_LOWEST = -(2**63)


def _identity(s: OpSite) -> str:
    return s.node("Identity", s.first)


def _transposed(s: OpSite, order: Sequence[int]) -> str:
    return s.writer.transpose(s.first, order) if list(order) != sorted(order) else _identity(s)


def _transpose(s: OpSite) -> str:
    rank = len(s.shape)
    order = list(range(rank))
    if rank:
        a, b = axis(s.attr("dim0"), rank), axis(s.attr("dim1"), rank)
        order[a], order[b] = b, a
    return _transposed(s, order)


def _t(s: OpSite) -> str:
    return _transposed(s, list(range(len(s.shape)))[::-1])


def _movedim(s: OpSite) -> str:
    rank = len(s.shape)
    source, target = (positive(dims(s.attr(key)), rank) for key in ("source", "destination"))
    place = dict(zip(target, source, strict=True))
    rest = iter([d for d in range(rank) if d not in source])
    return _transposed(s, [place[d] if d in place else next(rest) for d in range(rank)])


def _slice(s: OpSite) -> str:
    dim = axis(s.attr("dim", 0), len(s.shape))
    start, end = slice_bounds(s.shape[dim], s.attr("start"), s.attr("end"))
    return s.writer.slice(s.first, dim, start, end, s.attr("step", 1))


def _narrow(s: OpSite) -> str:
    dim = axis(s.attr("dim"), len(s.shape))
    start = s.attr("start") % s.shape[dim]
    return s.writer.slice(s.first, dim, start, start + s.attr("length"))


def _select(s: OpSite) -> str:
    dim = axis(s.attr("dim"), len(s.shape))
    at = s.attr("index") % s.shape[dim]
    return s.as_out(s.writer.slice(s.first, dim, at, at + 1))


def _expand(s: OpSite) -> str:
    return s.writer.expand(s.first, s.out.shape)


def _repeat(s: OpSite) -> str:
    repeats = list(s.attr("repeats"))
    value = s.first
    if len(repeats) > len(s.shape):
        value = s.writer.reshape(value, [1] * (len(repeats) - len(s.shape)) + list(s.shape))
    return s.node("Tile", value, s.writer.integers(repeats)) if repeats else _identity(s)


def _repeat_interleave(s: OpSite) -> str:
    """Each element next to its copies: copies along a new axis, which is then merged."""
    shape = list(s.shape) if s.attr("dim") is not None else [s.view.first.numel]
    dim = axis(s.attr("dim") or 0, len(shape))
    value = s.writer.reshape(s.first, [*shape[: dim + 1], 1, *shape[dim + 1 :]])
    wide = s.writer.expand(value, [*shape[: dim + 1], s.attr("repeats"), *shape[dim + 1 :]])
    return s.as_out(wide)


def _flip(s: OpSite) -> str:
    value = s.first
    for dim in positive(dims(s.attr("dims")), len(s.shape)):
        value = s.writer.slice(value, dim, -1, _LOWEST, -1)
    return value if value != s.first else _identity(s)


def _roll(s: OpSite) -> str:
    shifts, at = dims(s.attr("shifts")), dims(s.attr("dims", ()))
    if not at:
        flat = s.writer.reshape(s.first, [s.view.first.numel])
        return s.as_out(_rolled(s, flat, 0, shifts[0], s.view.first.numel))
    value = s.first
    for shift, dim in zip(shifts, positive(at, len(s.shape)), strict=True):
        value = _rolled(s, value, dim, shift, s.shape[dim])
    return value if value != s.first else _identity(s)


def _rolled(s: OpSite, value: str, dim: int, shift: int, extent: int) -> str:
    cut = -shift % extent
    if cut == 0:
        return s.node("Identity", value)
    head, tail = s.writer.slice(value, dim, 0, cut), s.writer.slice(value, dim, cut, extent)
    return s.writer.concat([tail, head], dim)


def _rearranged(s: OpSite, split: Sequence[int], order: Sequence[int]) -> str:
    """Reshape, transpose, reshape."""
    return s.as_out(s.writer.transpose(s.writer.reshape(s.first, split), order))


def _pixel_shuffle(s: OpSite) -> str:
    r = s.attr("upscale_factor")
    *batch, c, h, w = s.shape
    n = len(batch)
    if n == 1:
        return s.node("DepthToSpace", s.first, blocksize=r, mode="CRD")
    lead = list(range(n))
    return _rearranged(s, [*batch, c // (r * r), r, r, h, w], [*lead, n, n + 3, n + 1, n + 4, n + 2])


def _pixel_unshuffle(s: OpSite) -> str:
    r = s.attr("downscale_factor")
    *batch, c, h, w = s.shape
    n = len(batch)
    lead = list(range(n))
    return _rearranged(s, [*batch, c, h // r, r, w // r, r], [*lead, n, n + 2, n + 4, n + 1, n + 3])


def _channel_shuffle(s: OpSite) -> str:
    groups = s.attr("groups")
    n, c, *rest = s.shape
    order = [0, 2, 1, *range(3, 3 + len(rest))]
    return _rearranged(s, [n, groups, c // groups, *rest], order)


_RESHAPED = Onnx(lambda s: s.as_out(s.first), dtypes=ANY)

ROUTES: dict[str, Onnx] = {
    **dict.fromkeys(("reshape", "flatten", "unflatten", "unsqueeze", "squeeze"), _RESHAPED),
    **{name: Onnx(_identity, dtypes=ANY) for name in ("alias", "detach", "positive", "clone", "contiguous")},
    "transpose": Onnx(_transpose, dtypes=ANY),
    "t": Onnx(_t, dtypes=ANY),
    "permute": Onnx(lambda s: _transposed(s, positive(dims(s.attr("dims")), len(s.shape))), dtypes=ANY),
    "movedim": Onnx(_movedim, dtypes=ANY),
    "slice": Onnx(_slice, dtypes=ANY),
    "narrow": Onnx(_narrow, dtypes=ANY),
    "select": Onnx(_select, dtypes=ANY),
    "expand": Onnx(_expand, dtypes=ANY),
    "repeat": Onnx(_repeat, dtypes=ANY),
    "repeat_interleave": Onnx(_repeat_interleave, dtypes=ANY),
    "flip": Onnx(_flip, dtypes=ANY),
    "roll": Onnx(_roll, dtypes=ANY),
    "pixel_shuffle": Onnx(_pixel_shuffle, dtypes=ANY),
    "pixel_unshuffle": Onnx(_pixel_unshuffle, dtypes=ANY),
    "channel_shuffle": Onnx(_channel_shuffle, dtypes=ANY),
}
