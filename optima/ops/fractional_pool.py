"""Fractional maximum pooling: windows at pseudo-random steps that follow from one sample per channel and axis.

The windows are those of torch's CPU kernels (``FractionalMaxPool2d.cpp``, ``FractionalMaxPool3d.cpp``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_pool import argmax_fold
from optima.ops.te_reduce import load, refuse_dtypes
from optima.ops.te_window import per_axis

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _starts(samples: te.Tensor, component: int, inner: int, outputs: int, window: int) -> te.Tensor:
    """Where each window of an axis starts, per batch and channel; kept within the input whatever the sample."""
    from tvm import te, tirx

    last = inner - window
    dtype = str(samples.dtype)

    def start(n: Any, c: Any, i: Any) -> Any:
        if outputs == 1:
            return tirx.const(last, "int32")
        # The quotient as torch has it, rounded to the samples' dtype.
        alpha = tirx.const(last, dtype) / tirx.const(outputs - 1, dtype)
        sample = samples(n, c, component)
        place = ((i.astype(dtype) + sample) * alpha).astype("int32") - (sample * alpha).astype("int32")
        return tirx.Select(i.equal(outputs - 1), last, tirx.max(tirx.min(place, last), 0))

    batch, channels, _ = samples.shape
    return te.compute((batch, channels, outputs), start, name="starts")


def _fractional(spatial: int, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    x, samples = tensors["self"], tensors["random_samples"]
    out, inner = view.outputs[0].shape, view.operands["self"].shape[-spatial:]
    lead = len(out) - spatial
    window = per_axis(view.attrs["kernel_size"], spatial)
    # For images the first sample is that of the columns, for volumes that of the depth.
    order = (1, 0) if spatial == 2 else (0, 1, 2)
    starts = [_starts(samples, order[d], inner[d], out[lead + d], window[d]) for d in range(spatial)]

    def place(index: tuple[Any, ...], ks: tuple[Any, ...]) -> list[Any]:
        row = index[:lead] if lead == 2 else (0, *index[:lead])
        return [s(*row, i) + k for s, i, k in zip(starts, index[lead:], ks, strict=True)]

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        return load(x, *index[:lead], *place(index, ks))

    return argmax_fold(view, spatial, window, term, place, inner)


def _cost(view: OpView) -> Cost:
    """One comparison per element of each window; operands moved once each."""
    spatial = len(view.attrs["output_size"])
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(float(view.outputs[0].numel * prod(per_axis(view.attrs["kernel_size"], spatial))), float(moved))


ENTRIES: tuple[OpEntry, ...] = tuple(
    OpEntry(
        f"fractional_max_pool{n}d",
        ("self", "random_samples"),
        aten(f"fractional_max_pool{n}d"),
        {"kernel_size": REQUIRED, "output_size": REQUIRED},
        frozenset({Trait.REDUCTION}),
        # Half-width samples place windows in half-width arithmetic.
        Te(partial(_fractional, n), refuse_dtypes("float32", "float64")),
        cost=_cost,
    )
    for n in (2, 3)
)
