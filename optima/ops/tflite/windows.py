"""What convolutions and pools share: images with the channels last, and where the windows need padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optima.ops.te_window import Window
from optima.ops.tflite.layout import Array, Laid, Order, stored
from optima.ops.tflite.site import TfliteSite

Pads = list[tuple[int, int]]


@dataclass(frozen=True)
class Image:
    """The first operand as TFLite has images, ``[batch, height, width, channels]``, and the way back.

    One spatial axis stands as the width. ``order`` is that of the operand and of the output.
    """

    value: str
    order: Order

    @classmethod
    def of(cls, s: TfliteSite, spatial: int) -> Image:
        """The first operand of an op over ``spatial`` axes, with or without a batch axis."""
        batched = s.rank == spatial + 2
        channels = 1 if batched else 0
        order = (*([0] if batched else []), *range(channels + 1, s.rank), channels)
        batch = s.shape[0] if batched else 1
        extents = [1] * (2 - spatial) + list(s.shape[channels + 1 :])
        value = s.writer.reshape(s.laid(order), (batch, *extents, s.shape[channels]))
        return cls(value, order)

    def result(self, s: TfliteSite, value: str) -> Laid:
        """What an image of the output's shape is for the op."""
        return Laid(s.writer.reshape(value, stored(s.out.shape, self.order)), self.order)


def both(values: Sequence[int], fill: int) -> tuple[int, int]:
    """A value per spatial axis, for height and width; ``fill`` for the height of what has a width alone."""
    first, *rest = values
    return (first, rest[0]) if rest else (fill, first)


def pads_of(window: Window, before: Sequence[int], inner: Sequence[int], outer: Sequence[int]) -> Pads:
    """(before, after) per axis; after, as far as the last window reaches: no rounding rule is needed then."""
    reach = window.reach(outer)
    return [(b, max(r - n - b, 0)) for b, r, n in zip(before, reach, inner, strict=True)]


def is_same(window: Window, pads: Pads, inner: Sequence[int], outer: Sequence[int]) -> bool:
    """Whether TFLite's SAME pads just so: half of what is missing before, rounded down."""
    for pair, reach, n, out, stride in zip(pads, window.reach(outer), inner, outer, window.stride, strict=True):
        total = max(reach - n, 0)
        if out != -(-n // stride) or pair != (total // 2, total - total // 2):
            return False
    return True


def padded(s: TfliteSite, value: str, window: Window, pads: Pads, outer: Sequence[int]) -> tuple[str, str]:
    """The image and the padding attribute with which zeros come to stand where they belong."""
    if not any(b or a for b, a in pads):
        return value, "VALID"
    if is_same(window, pads, s.writer.shapes[value][1:3], outer):
        return value, "SAME"
    return s.writer.pad(value, [(0, 0), *pads, (0, 0)]), "VALID"


def with_edges(s: TfliteSite, value: str, pads: Pads) -> str:
    """The image with its outermost elements repeated: padding that no maximum notices, since each window that
    reaches past an edge also holds the element at the edge."""
    for axis, (before, after) in enumerate(pads, start=1):
        extent = s.writer.shapes[value][axis]
        parts = [s.writer.part(value, axis, 0, 1)] * before if before else []
        parts = [*parts, value, *([s.writer.part(value, axis, extent - 1, 1)] * after if after else [])]
        value = s.writer.concat(parts, axis)
    return value


#: operators whose results are not negative, and those that pick or mix elements of their first operand
_NOT_NEGATIVE = ("RELU", "RELU6", "LOGISTIC", "SOFTMAX")
_KEEPS_SIGN = (
    "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "RESHAPE", "TRANSPOSE", "SLICE", "PAD", "RESIZE_NEAREST_NEIGHBOR",
)  # fmt: skip


def never_negative(s: TfliteSite, value: str) -> bool:
    """Whether the way that a value is made shows that none of its elements is below 0."""
    node = s.writer.producer(value)
    if node is None:
        return False
    if node.op == "CONCATENATION":
        return all(never_negative(s, v) for v in node.inputs)
    return node.op in _NOT_NEGATIVE or (node.op in _KEEPS_SIGN and never_negative(s, node.inputs[0]))


def divisors(
    window: Window, before: Sequence[int], inner: Sequence[int], outer: Sequence[int], padding_counts: bool
) -> Array:
    """``[height, width]``: how many elements torch divides each window's sum by."""
    counts = []
    for k, stride, b, n, out in zip(window.kernel, window.stride, before, inner, outer, strict=True):
        start = np.arange(out) * stride - b
        end = np.minimum(start + k, n + b)
        whole = end - start
        counts.append(whole if padding_counts else np.minimum(end, n) - np.maximum(start, 0))
    return np.outer(counts[0], counts[1]).astype(np.float64)
