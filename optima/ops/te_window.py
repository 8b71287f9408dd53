"""TE building blocks for sliding windows: spatial attributes, padding, and where a window's elements lie.

Shared by convolution and pooling. Everything is generic in the number of spatial axes; an input without a
batch axis is the same computation with one axis fewer in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optima.ops.te_reduce import accumulator, const, load

if TYPE_CHECKING:
    from tvm import te


def per_axis(value: Any, spatial: int) -> tuple[int, ...]:
    """An ``int[n]`` attribute of aten's: one int, a list of one, or one per spatial axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * spatial if len(values) == 1 else values


def same_padding(kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) per axis for ``padding="same"``: the odd element goes after, as torch has it."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


@dataclass(frozen=True)
class Window:
    """Kernel extents, strides and dilations per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def at(self, out: Sequence[Any], k: Sequence[Any]) -> tuple[Any, ...]:
        """Where element ``k`` of the window of output ``out`` lies in the padded input."""
        return tuple(o * s + i * d for o, i, s, d in zip(out, k, self.stride, self.dilation, strict=True))

    def reach(self, out: Sequence[int]) -> list[int]:
        """How many padded input elements per axis the windows of ``out`` outputs span."""
        return [
            max((o - 1) * s + (k - 1) * d + 1, 0)
            for o, k, s, d in zip(out, self.kernel, self.stride, self.dilation, strict=True)
        ]


def pad(
    x: te.Tensor, before: Sequence[int], after: Sequence[int], value: float | int, dtype: str
) -> te.Tensor:
    """``x`` with its last ``len(before)`` axes grown by ``value``; ``x`` itself where nothing is to add.

    The grown tensor is in the accumulator of ``dtype``: each element is widened once, not once per window.

    ``after`` may be negative: elements that no window reaches are then simply not read.
    """
    from tvm import te, tirx

    extra = [max(a, 0) for a in after]
    if not any(before) and not any(extra):
        return x
    lead = len(x.shape) - len(before)
    inner = [int(d) for d in x.shape[lead:]]
    shape = (*x.shape[:lead], *(n + b + a for n, b, a in zip(inner, before, extra, strict=True)))

    def element(*index: Any) -> Any:
        inside = []
        where = list(index[:lead])
        for i, n, b, a in zip(index[lead:], inner, before, extra, strict=True):
            inside += [i >= b] if b else []
            inside += [i < n + b] if a else []
            where.append(i - b if b else i)
        return tirx.if_then_else(tirx.all(*inside), load(x, *where), const(value, accumulator(dtype)))

    return te.compute(shape, element, name="padded")
