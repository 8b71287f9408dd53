"""Compile-time forms on channel-blocked tensors. No user graph holds them; ``passes.choose_layout`` makes them.

A blocked tensor ``[N, ceil(C/b), H, W, b]`` holds channel ``c`` of a dense ``[N, C, H, W]`` at ``[n, c // b, h, w,
c % b]``; lanes past ``C`` are zero. The b channels of a pixel are one vector, so that a convolution's inner loop is
one broadcast and one fused multiply-add per vector of outputs (the layout is oneDNN's nChw16c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optima.ops.blocked_conv import CONVOLUTIONS
from optima.ops.blocked_linear import LINEAR_PACKED
from optima.ops.blocked_pool import POOLINGS
from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait

if TYPE_CHECKING:
    import torch
    from tvm import te


def pack_channels(dense: torch.Tensor, block: int) -> torch.Tensor:
    """``[N, C, H, W]`` -> ``[N, ceil(C/block), H, W, block]``, zeros past C."""
    from torch.nn.functional import pad

    n, c, h, w = dense.shape
    blocks = -(-c // block)
    padded = pad(dense, (0, 0, 0, 0, 0, blocks * block - c))
    return padded.reshape(n, blocks, block, h, w).permute(0, 1, 3, 4, 2).contiguous()


def unpack_channels(blocked: torch.Tensor, channels: int) -> torch.Tensor:
    """The inverse of ``pack_channels``: the first ``channels`` channels, dense."""
    n, blocks, h, w, block = blocked.shape
    return blocked.permute(0, 1, 4, 2, 3).reshape(n, blocks * block, h, w)[:, :channels].contiguous()


def _pack_reference(self: torch.Tensor, block: int) -> torch.Tensor:
    return pack_channels(self, block)


def _unpack_reference(self: torch.Tensor, channels: int) -> torch.Tensor:
    return unpack_channels(self, channels)


def _pack(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te, tirx

    x, channels = tensors["self"], view.first.shape[1]
    shape = view.outputs[0].shape
    block = shape[4]

    def lane(n: Any, co: Any, h: Any, w: Any, ci: Any) -> Any:
        value = x[n, co * block + ci, h, w]
        if channels % block == 0:
            return value
        return tirx.if_then_else(co * block + ci < channels, value, tirx.const(0, x.dtype))

    return [te.compute(shape, lane, name="to_blocked")]


def _unpack(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te

    x, block = tensors["self"], view.first.shape[4]
    return [
        te.compute(
            view.outputs[0].shape,
            lambda n, c, h, w: x[n, c // block, h, w, c % block],
            name="from_blocked",
        )
    ]


def _prelu_reference(self: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.where(self > 0, self, weight * self)


def _prelu(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te, tirx

    x, weight = tensors["self"], tensors["weight"]

    def lane(n: Any, c: Any, h: Any, w: Any, i: Any) -> Any:
        value = x[n, c, h, w, i]
        return tirx.Select(value > tirx.const(0, x.dtype), value, weight[c, 0, 0, i] * value)

    return [te.compute(view.outputs[0].shape, lane, name="prelu_blocked")]


_MOVE = frozenset({Trait.INJECTIVE})

ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "to_blocked",
        ("self",),
        _pack_reference,
        attrs={"block": REQUIRED},
        traits=_MOVE,
        te=Te(_pack),
        internal=True,
    ),
    OpEntry(
        "from_blocked",
        ("self",),
        _unpack_reference,
        attrs={"channels": REQUIRED},
        traits=_MOVE,
        te=Te(_unpack),
        internal=True,
    ),
    OpEntry(
        # weight [Cb, 1, 1, b]: one slope per channel
        "prelu_blocked",
        ("self", "weight"),
        _prelu_reference,
        traits=frozenset({Trait.ELEMENTWISE}),
        te=Te(_prelu),
        internal=True,
    ),
    *CONVOLUTIONS,
    *POOLINGS,
    LINEAR_PACKED,
)
