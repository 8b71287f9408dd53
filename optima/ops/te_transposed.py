"""TE building blocks of transposed convolution: each output gathers what it receives, so nothing is written twice.

Output o gets input i through kernel element k where ``o + padding == i * stride + k * dilation``. Written as
``o + padding == q * stride + r``, each phase r is an ordinary convolution over q, with the kernel elements for
which ``r - k * dilation`` divides by the stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod
from typing import TYPE_CHECKING, Any

from optima.ops.te_reduce import const, fold_terms, load
from optima.ops.te_window import Window, pad

if TYPE_CHECKING:
    from tvm import te

#: as many convolutions as are worth a kernel; above it the phases are an axis of one, with a test per product
MOST_PHASES = 16

Index = Sequence[Any]


@dataclass(frozen=True)
class Phase:
    """What phase ``r`` of one axis does: kernel elements ``tap + j * tap_step`` at input ``q + base - j * step``.

    ``first`` and ``extent`` give the q that outputs have, ``taps`` the number of kernel elements, maybe none.
    """

    tap: int
    tap_step: int
    taps: int
    base: int
    step: int
    first: int
    extent: int

    @property
    def lowest(self) -> int:
        """The first input element that is asked for; negative before the input."""
        return self.first + self.base - max(self.taps - 1, 0) * self.step

    @property
    def highest(self) -> int:
        """The last input element that is asked for; may lie behind the input."""
        return self.first + max(self.extent - 1, 0) + self.base


def phases_of(out: int, kernel: int, stride: int, dilation: int, padding: int) -> list[Phase]:
    """The phases 0 .. stride - 1 of an axis with ``out`` outputs."""
    common = gcd(stride, dilation)
    made = []
    for r in range(stride):
        tap = next((k for k in range(kernel) if (r - k * dilation) % stride == 0), None)
        first = max(-((r - padding) // stride), 0)
        extent = max((out - 1 + padding - r) // stride - first + 1, 0)
        tap_step = stride // common
        taps = 0 if tap is None else -(-(kernel - tap) // tap_step)
        base = (r - (tap or 0) * dilation) // stride
        made.append(Phase(tap or 0, tap_step, taps, base, dilation // common, first, extent))
    return made


@dataclass(frozen=True)
class Channels:
    """The channel axis at ``lead``: how an output channel finds its inputs and its column of the weight."""

    lead: int
    inputs: int
    outputs: int
    groups: int

    def source(self, channel: Any, k: Any) -> tuple[Any, Any]:
        """(input channel, column of the weight) of input ``k`` of an output channel's group."""
        if self.groups == 1:
            return k, channel
        return channel // self.outputs * self.inputs + k, channel % self.outputs


def by_phase(
    x: te.Tensor,
    weight: te.Tensor,
    out: Sequence[int],
    window: Window,
    padding: Sequence[int],
    channels: Channels,
    dtype: str,
) -> te.Tensor:
    """The result in ``dtype``, each phase a convolution of its own, interleaved at the end."""
    from tvm import te, tirx

    lead = channels.lead
    sizes = [int(n) for n in x.shape[lead + 1 :]]
    geometry = zip(out[lead + 1 :], window.kernel, window.stride, window.dilation, padding, strict=True)
    axes = [phases_of(*axis) for axis in geometry]
    live = [[p for p in phases if p.taps and p.extent] for phases in axes]
    before = [max([0, *(-p.lowest for p in some)]) for some in live]
    after = [max([0, *(p.highest - n + 1 for p in some)]) for some, n in zip(live, sizes, strict=True)]
    padded = pad(x, before, after, 0, str(x.dtype))

    def convolution(chosen: Sequence[Phase]) -> te.Tensor:
        def term(index: Index, ks: Index) -> Any:
            source, column = channels.source(index[lead], ks[0])
            taps = [p.tap + p.tap_step * j for p, j in zip(chosen, ks[1:], strict=True)]
            where = [
                q + (p.first + p.base + b) - j * p.step
                for q, p, b, j in zip(index[lead + 1 :], chosen, before, ks[1:], strict=True)
            ]
            return load(padded, *index[:lead], source, *where) * load(weight, source, column, *taps)

        shape = (*out[: lead + 1], *(p.extent for p in chosen))
        extents = (channels.inputs, *(p.taps for p in chosen))
        return fold_terms("sum", shape, extents, term, dtype, "phase", "conv")

    made = {
        chosen: convolution([axes[d][r] for d, r in enumerate(chosen)])
        for chosen in product(*(range(len(phases)) for phases in axes))
        if all(axes[d][r].extent for d, r in enumerate(chosen))
    }
    if len(made) == 1 and prod(window.stride) == 1:
        return next(iter(made.values()))

    def interleaved(*index: Any) -> Any:
        places = [i + p for i, p in zip(index[lead + 1 :], padding, strict=True)]
        value = const(0, dtype)
        for chosen, part in made.items():
            here = [(w % s).equal(r) for w, s, r in zip(places, window.stride, chosen, strict=True) if s > 1]
            at = [
                w // s - axes[d][r].first for d, (w, s, r) in enumerate(zip(places, window.stride, chosen, strict=True))
            ]
            value = tirx.if_then_else(tirx.all(*here), part(*index[: lead + 1], *at), value)
        return value

    return te.compute(out, interleaved, name="conv_transpose")


def with_phase_axes(
    x: te.Tensor,
    weight: te.Tensor,
    out: Sequence[int],
    window: Window,
    padding: Sequence[int],
    channels: Channels,
    dtype: str,
) -> te.Tensor:
    """The result in ``dtype`` with the phases as axes of one fold.

    Where every phase has as many kernel elements, that is a convolution too; elsewhere each product is tested.
    """
    from tvm import te, tirx

    lead, spatial = channels.lead, len(window.kernel)
    quotients = [-(-(o + p) // s) for o, p, s in zip(out[lead + 1 :], padding, window.stride, strict=True)]
    axes = list(zip(window.kernel, window.stride, window.dilation, strict=True))
    steps = [-(-k // s) if d == 1 else k for k, s, d in axes]
    even = all(d == 1 and k % s == 0 for k, s, d in axes)
    reach = [(d * (k - 1)) // s + 1 for k, s, d in axes]
    after = [q - int(n) for q, n in zip(quotients, x.shape[lead + 1 :], strict=True)]
    padded = pad(x, reach, after, 0, str(x.dtype))

    def term(index: Index, ks: Index) -> Any:
        source, column = channels.source(index[lead], ks[0])
        phases, places = index[lead + 1 : lead + 1 + spatial], index[lead + 1 + spatial :]
        taps, where, guards = _matching(phases, places, ks[1:], window)
        where = [w + b for w, b in zip(where, reach, strict=True)]
        value = load(padded, *index[:lead], source, *where) * load(weight, source, column, *taps)
        return tirx.if_then_else(tirx.all(*guards), value, tirx.const(0, dtype)) if guards else value

    shape = (*out[: lead + 1], *window.stride, *quotients)
    extents = (channels.inputs, *steps)
    phased = fold_terms("sum", shape, extents, term, dtype, "phases", "conv" if even else "")

    def interleaved(*index: Any) -> Any:
        where = [i + p for i, p in zip(index[lead + 1 :], padding, strict=True)]
        phases = [w % s for w, s in zip(where, window.stride, strict=True)]
        quotients = [w // s for w, s in zip(where, window.stride, strict=True)]
        return phased(*index[: lead + 1], *phases, *quotients)

    return te.compute(out, interleaved, name="conv_transpose")


def _matching(phases: Index, places: Index, steps: Index, window: Window) -> tuple[list[Any], list[Any], list[Any]]:
    """(kernel elements, input positions, conditions under which the elements exist) of one product."""
    taps, where, guards = [], [], []
    axes = zip(phases, places, steps, window.kernel, window.stride, window.dilation, strict=True)
    for r, q, j, k, s, d in axes:
        if d == 1:
            taps.append(r + s * j)
            where.append(q - j)
            guards += [r + s * j < k] if k % s else []
        else:
            taps.append(j)
            where.append(q + (r - j * d) // s)
            guards += [((r - j * d) % s).equal(0)] if s > 1 else []
    return taps, where, guards
