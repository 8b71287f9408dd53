"""TFLite routes of views and other rearrangements. A permutation of axes is a change of order: nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.indices import axis, slice_bounds
from optima.ops.tflite.layout import Laid, plain, through_reshape, without
from optima.ops.tflite.site import TfliteSite, dims, widened

#: above it a repetition becomes more pieces than it is worth
_MOST_COPIES = 64


def _same(s: TfliteSite) -> Laid:
    return s.made()


def _reshaped(s: TfliteSite) -> Laid:
    """In the order in which the operand lies, if its runs of axes allow it."""
    made = s.made()
    order = through_reshape(s.shape, made.order, s.out.shape)
    if order is None:
        return s.result(s.plain())
    return Laid(s.writer.reshape(made.value, [s.out.shape[a] for a in order]), order)


def _permuted(s: TfliteSite, axes: Sequence[int]) -> Laid:
    made = s.made()
    return Laid(made.value, tuple(list(axes).index(a) for a in made.order))


def _permute(s: TfliteSite) -> Laid:
    return _permuted(s, [axis(d, s.rank) for d in dims(s.attr("dims"))])


def _transpose(s: TfliteSite) -> Laid:
    axes = list(range(s.rank))
    a, b = s.axis("dim0"), s.axis("dim1")
    axes[a], axes[b] = b, a
    return _permuted(s, axes)


def _t(s: TfliteSite) -> Laid:
    return _permuted(s, list(range(s.rank))[::-1])


def _movedim(s: TfliteSite) -> Laid:
    source, target = ([axis(d, s.rank) for d in dims(s.attr(key))] for key in ("source", "destination"))
    place = dict(zip(target, source, strict=True))
    rest = iter([d for d in range(s.rank) if d not in source])
    return _permuted(s, [place[d] if d in place else next(rest) for d in range(s.rank)])


def _slice(s: TfliteSite) -> Laid:
    made, dim, step = s.made(), s.axis("dim", 0), s.attr("step", 1)
    start, end = slice_bounds(s.shape[dim], s.attr("start"), s.attr("end"))
    at = made.order.index(dim)
    if step == 1:
        return Laid(s.writer.part(made.value, at, start, end - start), made.order)
    shape = s.writer.shapes[made.value]
    begins, ends, strides = [0] * len(shape), list(shape), [1] * len(shape)
    begins[at], ends[at], strides[at] = start, end, step
    result = [s.out.shape[a] for a in made.order]
    value = s.writer.node(
        "STRIDED_SLICE", [made.value, *(s.writer.integers(v) for v in (begins, ends, strides))], result,
        begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0,
    )  # fmt: skip
    return Laid(value, made.order)


def _narrow(s: TfliteSite) -> Laid:
    made, dim = s.made(), s.axis()
    start = s.attr("start") % s.shape[dim]
    return Laid(s.writer.part(made.value, made.order.index(dim), start, s.attr("length")), made.order)


def _select(s: TfliteSite) -> Laid:
    made, dim = s.made(), s.axis()
    part = s.writer.part(made.value, made.order.index(dim), s.attr("index") % s.shape[dim], 1)
    order = without(made.order, [dim])
    return Laid(s.writer.reshape(part, [s.out.shape[a] for a in order]), order)


def _expand(s: TfliteSite) -> Laid:
    """A product with ones, which broadcasts."""
    rank = len(s.out.shape)
    tensor = widened(s.writer, s.first, rank)
    value = s.writer.lay(tensor, plain(rank))
    ones = [1 if n == m else m for n, m in zip(tensor.shape, s.out.shape, strict=True)]
    return s.result(
        value if tensor.shape == s.out.shape else s.writer.binary("MUL", value, s.writer.data(np.ones(ones)))
    )


def _repeat(s: TfliteSite) -> Laid:
    repeats = list(s.attr("repeats"))
    tensor = widened(s.writer, s.first, len(repeats))
    value = s.writer.lay(tensor, plain(len(repeats)))
    for k, count in enumerate(repeats):
        value = s.writer.concat([value] * count, k)
    return s.result(value)


def _repeat_reason(view: OpView) -> str | None:
    most = max(view.attrs["repeats"], default=1)
    return f"{most} copies: {_MOST_COPIES} at most are written" if most > _MOST_COPIES else None


def _roll(s: TfliteSite) -> Laid:
    made = s.made()
    value = made.value
    for shift, dim in zip(dims(s.attr("shifts")), dims(s.attr("dims", ())), strict=True):
        at, extent = made.order.index(axis(dim, s.rank)), s.shape[axis(dim, s.rank)]
        cut = -shift % extent
        if cut:
            head, tail = s.writer.part(value, at, 0, cut), s.writer.part(value, at, cut, extent - cut)
            value = s.writer.concat([tail, head], at)
    return Laid(value, made.order)


def _roll_reason(view: OpView) -> str | None:
    return None if dims(view.attrs.get("dims", ())) else "roll of the flattened tensor has no TFLite form here"


def _channels_behind(s: TfliteSite) -> tuple[int, ...]:
    return (*range(s.rank - 3), s.rank - 2, s.rank - 1, s.rank - 3)


def _rearranged(s: TfliteSite, split: Sequence[int], axes: Sequence[int], order: tuple[int, ...]) -> Laid:
    """Reshape, transpose, reshape of the operand in an order that the output has, too."""
    turned = s.writer.transpose(s.writer.copy(s.laid(order), split), axes)
    return Laid(s.writer.reshape(turned, [s.out.shape[a] for a in order]), order)


def _pixel_shuffle(s: TfliteSite) -> Laid:
    """Not DEPTH_TO_SPACE: its channels have another order, and the quantiser does not know it."""
    r = s.attr("upscale_factor")
    *batch, c, h, w = s.shape
    rows = int(np.prod(batch)) * h
    return _rearranged(s, [rows, w, c // (r * r), r, r], [0, 3, 1, 4, 2], _channels_behind(s))


def _pixel_unshuffle(s: TfliteSite) -> Laid:
    r = s.attr("downscale_factor")
    *batch, c, h, w = s.shape
    rows = int(np.prod(batch)) * (h // r)
    return _rearranged(s, [rows, r, w // r, r, c], [0, 2, 4, 1, 3], _channels_behind(s))


def _channel_shuffle(s: TfliteSite) -> Laid:
    groups, channels = s.attr("groups"), s.shape[1]
    order = (0, *range(2, s.rank), 1)
    return _rearranged(s, [s.view.first.numel // channels, groups, channels // groups], [0, 2, 1], order)


ROUTES: dict[str, Tflite] = {
    **{name: Tflite(_reshaped) for name in ("reshape", "flatten", "unflatten", "unsqueeze", "squeeze")},
    **{name: Tflite(_same) for name in ("alias", "detach", "positive", "clone", "contiguous")},
    "transpose": Tflite(_transpose),
    "t": Tflite(_t),
    "permute": Tflite(_permute),
    "movedim": Tflite(_movedim),
    "slice": Tflite(_slice),
    "narrow": Tflite(_narrow),
    "select": Tflite(_select),
    "expand": Tflite(_expand),
    "repeat": Tflite(_repeat, _repeat_reason),
    "roll": Tflite(_roll, _roll_reason),
    "pixel_shuffle": Tflite(_pixel_shuffle),
    "pixel_unshuffle": Tflite(_pixel_unshuffle),
    "channel_shuffle": Tflite(_channel_shuffle),
}
