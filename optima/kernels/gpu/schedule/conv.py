"""Direct convolution: a thread per position and a few channels, whose weights the workgroup shares.

A workgroup takes a run of positions of one image and one tile of output channels. Its threads read the input by
themselves, neighbours side by side, use each value for every channel of the tile, and find the weights in shared
memory, a piece of the input channels at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from optima.kernels.gpu.schedule.threads import fill_together, local_result
from optima.kernels.schedule.expressions import mentions
from optima.kernels.schedule.structure import (
    NotApplicable,
    divisors,
    extent,
    inline_prologue,
    name_of,
    split_axes,
)

if TYPE_CHECKING:
    from optima.kernels.gpu.target import GpuTarget

#: output channels of a thread, at most: each is a register
_CHANNELS = 8
#: positions of a workgroup, at most
_POSITIONS = 128
#: workgroups along z and y: what every device allows
_MOST_GROUPS = 65_535


def apply(sch: Any, anchor: Any, target: GpuTarget, done: frozenset[str]) -> set[str]:
    """Schedule the convolution ``anchor`` (axes batch, channel, position ... | input channel, window ...)."""
    spatial, reduction = split_axes(sch, anchor)
    if len(spatial) < 3 or len(reduction) < 2 or len(sch.get(anchor).reads) != 2:
        raise NotApplicable("not a convolution of an image and weights")
    if _is_grouped(sch, anchor):
        raise NotApplicable("groups share no input")
    batch, channel, *positions = spatial
    if extent(sch, batch) > _MOST_GROUPS:
        raise NotApplicable("too many images for one launch")
    if math.prod(extent(sch, loop) for loop in positions) == 1:
        # A product with one column: a second thread has nothing to do, and TVM lets it store what it did not compute.
        raise NotApplicable("one position per image")
    weights = sch.cache_read(anchor, 1, "shared")
    value = sch.cache_read(anchor, 0, "local")
    inline_prologue(sch, value, done)
    final = local_result(sch, anchor, done)
    place = sch.fuse(*positions) if len(positions) > 1 else positions[0]
    width = min(_POSITIONS, 1 << (extent(sch, place) - 1).bit_length())
    tile, piece = _shared_weights(sch, channel, reduction, target)
    channel_o, channel_i = sch.split(channel, [None, tile])
    place_o, place_t = sch.split(place, [None, width])
    input_o, input_i = sch.split(reduction[0], [None, piece])
    sch.reorder(batch, channel_o, place_o, place_t, input_o, input_i, *reduction[1:], channel_i)
    axes = ("blockIdx.z", "blockIdx.y", "blockIdx.x", "threadIdx.x")
    for loop, axis in zip((batch, channel_o, place_o, place_t), axes, strict=True):
        sch.bind(loop, axis)
    fill_together(sch, weights, input_o, width)
    sch.compute_at(value, reduction[-1], preserve_unit_loops=True)
    sch.reverse_compute_at(final, place_t, preserve_unit_loops=True)
    sch.unroll(channel_i)
    start = sch.decompose_reduction(anchor, input_o)
    return {name_of(sch, b) for b in (anchor, weights, value, final, start)}


def _is_grouped(sch: Any, anchor: Any) -> bool:
    """Whether the input that is read depends on the output channel."""
    node = sch.get(anchor)
    channel = [v.var for v in node.iter_vars if int(v.iter_type) == 0][1]
    return any(mentions(part.min, [channel]) for part in node.reads[0].region)


def _shared_weights(sch: Any, channel: Any, reduction: list[Any], target: GpuTarget) -> tuple[int, int]:
    """Output channels of a tile, and input channels at a time, whose weights are in shared memory: in half of it.

    The widest tile comes first. Raises NotApplicable for a window that is larger than that by itself.
    """
    window = math.prod(extent(sch, loop) for loop in reduction[1:])
    weights = target.shared_bytes // 2 // 4 // window
    tiles = [d for d in divisors(extent(sch, channel)) if d <= min(_CHANNELS, weights)]
    if not tiles:
        raise NotApplicable("one channel's weights do not fit into shared memory")
    tile = max(tiles)
    return tile, max(d for d in divisors(extent(sch, reduction[0])) if d <= weights // tile)
