"""TE building blocks of pooling: adaptive windows, the averages' divisors, maxima with their positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from optima.ops.entry import OpView
from optima.ops.te_reduce import accumulator, const, convert, extremum_identity, is_nan
from optima.ops.te_window import Window, per_axis

if TYPE_CHECKING:
    from tvm import te

Index = tuple[Any, ...]


@dataclass(frozen=True)
class AdaptiveAxis:
    """The windows of one adaptive axis: output i of ``outputs`` covers floor(i m/n) .. ceil((i+1) m/n)."""

    extent: int
    outputs: int

    @property
    def longest(self) -> int:
        """The length of the longest window."""
        return max((self._stop(i) - i * self.extent // self.outputs for i in range(self.outputs)), default=1)

    @property
    def uniform(self) -> bool:
        """Whether all windows have one length."""
        return all(
            self._stop(i) - i * self.extent // self.outputs == self.longest for i in range(self.outputs)
        )

    def _stop(self, i: Any) -> Any:
        return ((i + 1) * self.extent + self.outputs - 1) // self.outputs

    def start(self, i: Any) -> Any:
        """Where window ``i`` starts."""
        if self.outputs == 1:
            return 0
        if self.extent % self.outputs == 0:
            return i * (self.extent // self.outputs)
        return i * self.extent // self.outputs

    def end(self, i: Any) -> Any:
        """The first element after window ``i``."""
        return self._stop(i)

    def length(self, i: Any) -> Any:
        """The number of elements in window ``i``, an int32 expression."""
        from tvm import tirx

        if self.uniform:
            return tirx.const(self.longest, "int32")
        return self.end(i) - self.start(i)


def adaptive_windows(inner: Sequence[int], outputs: Sequence[int]) -> list[AdaptiveAxis]:
    """One ``AdaptiveAxis`` per spatial axis."""
    return [AdaptiveAxis(n, o) for n, o in zip(inner, outputs, strict=True)]


def average_divisor(
    out: Sequence[int],
    inner: Sequence[int],
    window: Window,
    before: Sequence[int],
    *,
    include_pad: bool,
    override: int | None,
) -> Callable[[Sequence[Any]], Any]:
    """How many elements the window of an output counts, an int32 expression.

    ``include_pad`` counts padding too, but nothing past it: a window that ``ceil_mode`` lets stick out is cut
    at the padded end. Otherwise only real elements count.
    """
    from tvm import tirx

    def along(axis: int, o: Any) -> Any:
        n, b = inner[axis], before[axis]
        k, s = window.kernel[axis], window.stride[axis]
        last = (out[axis] - 1) * s + k
        limit = n + 2 * b if include_pad else n + b
        first = 0 if include_pad else b
        if last <= limit and first == 0:
            return tirx.const(k, "int32")
        start = o * s
        return tirx.min(start + k, limit) - (tirx.max(start, first) if first else start)

    def divisor(index: Sequence[Any]) -> Any:
        if override is not None:
            return tirx.const(override, "int32")
        counts = [along(axis, o) for axis, o in enumerate(index)]
        return prod(counts[1:], start=counts[0])

    return divisor


def argmax_fold(
    view: OpView,
    spatial: int,
    extents: Sequence[int],
    term: Callable[[Index, Index], Any],
    place: Callable[[Index, Index], list[Any]],
    inner: Sequence[int],
) -> list[te.Tensor]:
    """[maxima, positions]: ``term`` gives a window's elements, ``place`` where they lie in the input.

    Positions count through the input's spatial axes row-major. As in torch, the first of equal maxima wins,
    the last of several NaNs, and a window of -inf only points at its first real element.
    """
    from tvm import te, tirx

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    lowest = extremum_identity(acc, lowest=True)

    def flat(where: Sequence[Any]) -> Any:
        total: Any = 0
        for position, n in zip(where, inner, strict=True):
            total = total * n + position
        return tirx.convert(total)

    def better(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        wins = tirx.any(b[1] > a[1], is_nan(b[1], acc))
        return tirx.Select(wins, b[0], a[0]), tirx.Select(wins, b[1], a[1])

    reducer = te.comm_reducer(better, lambda i, v: (tirx.const(-1, i), const(lowest, acc)), name="argmax")
    ks = tuple(te.reduce_axis((0, extent), name=f"r{n}") for n, extent in enumerate(extents))

    def pair(*index: Any) -> Any:
        return reducer((flat(place(index, ks)).astype("int32"), term(index, ks)), axis=ks)

    found, values = te.compute(out.shape, pair, name="argmax_pool")

    def position(*index: Any) -> Any:
        zeros = (0,) * spatial
        first = []
        for axis, p in enumerate(place(index, zeros)):
            step = per_axis(view.attrs.get("dilation", 1), spatial)[axis]
            # A window may start in the padding: its first real element is whole dilations further.
            first.append(tirx.if_then_else(p < 0, p + (-p + step - 1) // step * step, p))
        where = found(*index)
        return tirx.if_then_else(where < 0, flat(first), where).astype("int64")

    indices = te.compute(out.shape, position, name="positions")
    result = te.compute(out.shape, lambda *i: convert(values(*i), acc, out.dtype), name="maxima")
    return [result, indices]
