"""``linear`` with a constant weight packed for the register tile: ``[ceil(N/nb), K, nb]``, zeros past N.

``nb`` is two vectors: a tile of rows x two vectors needs fewest loads per multiplication.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait

if TYPE_CHECKING:
    import torch
    from tvm import te


def _reference(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, *, features: int
) -> torch.Tensor:
    import torch

    blocks, depth, lanes = weight.shape
    dense = weight.permute(0, 2, 1).reshape(blocks * lanes, depth)[:features]
    return torch.nn.functional.linear(input, dense, bias)


def even_rows(rows: int, most: int) -> int:
    """``rows``, or the next number above it that divides into register tiles of at most ``most`` rows."""
    if rows <= most or any(rows % tile == 0 for tile in range(most // 2 + 1, most + 1)):
        return rows
    return min(-(-rows // tile) * tile for tile in range(most, most // 2, -1))


def _padded_rows(x: te.Tensor, lanes: int) -> te.Tensor:
    """``x [..., M, K]`` with rows of zeros behind M where M has no good register tile; else ``x`` itself.

    Two vectors of ``lanes`` columns leave room for 14 rows in AVX-512's registers, 6 in AVX2's.
    """
    from tvm import te, tirx

    *lead, rows, depth = (int(d) for d in x.shape)
    even = even_rows(rows, 14 if lanes >= 16 else 6)
    if even == rows:
        return x
    return te.compute(
        (*lead, even, depth),
        lambda *i: tirx.if_then_else(i[-2] < rows, x[i], tirx.const(0, x.dtype)),
        name="row_pad",
    )


def _compute(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    from tvm import te

    x, w, bias = tensors["input"], tensors["weight"], tensors.get("bias")
    blocks, depth, nb = (int(d) for d in w.shape)
    out_shape = view.outputs[0].shape
    if len(x.shape) > 1:
        x = _padded_rows(x, nb // 2)
    k = te.reduce_axis((0, depth), name="k")
    product = te.compute(
        (*x.shape[:-1], blocks * nb),
        lambda *i: te.sum(x[(*i[:-1], k)] * w[i[-1] // nb, k, i[-1] % nb], axis=k),
        name="gemm_packed",
        attrs={"schedule_rule": "gemm_packed"},
    )
    if bias is not None:
        return [te.compute(out_shape, lambda *i: product[i] + bias[i[-1]], name="linear_bias")]
    if tuple(product.shape) == tuple(out_shape):
        return [product]
    return [te.compute(out_shape, lambda *i: product[i], name="linear_cut")]


def _refuse(view: OpView) -> str | None:
    if any(t.dtype != "float32" for t in view.operands.values()):
        return "packed linear is written for float32"
    return "packed linear needs a non-empty output" if view.outputs[0].numel == 0 else None


def _cost(view: OpView) -> Cost:
    moved = sum(t.nbytes for t in view.operands.values()) + view.outputs[0].nbytes
    return Cost(2.0 * view.outputs[0].numel * view.operands["input"].shape[-1], float(moved))


LINEAR_PACKED = OpEntry(
    # input [..., K], weight [ceil(features/nb), K, nb], bias [features]
    "linear_packed",
    ("input", "weight", "bias?"),
    _reference,
    attrs={"features": REQUIRED},
    traits=frozenset({Trait.CONTRACTION}),
    te=Te(_compute, _refuse),
    cost=_cost,
    internal=True,
)
