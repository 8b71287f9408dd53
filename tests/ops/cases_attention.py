"""Cases of attention: kinds of mask, causal, scales, shared heads, ranks, lengths, rows that see nothing."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _case(
    query: Shape,
    key: Shape,
    value: Shape = (),
    mask: Shape | None = None,
    dtype: str = "float32",
    mask_dtype: str = "bool",
    tolerance: float = 1e-5,
    **attrs: Any,
) -> OpCase:
    args = [Arg("query", query, dtype), Arg("key", key, dtype), Arg("value", value or key, dtype)]
    if mask is not None:
        special = "bool" if mask_dtype == "bool" else "special"
        args.append(Arg("attn_mask", mask, mask_dtype, special))
    return OpCase("scaled_dot_product_attention", tuple(args), attrs, tolerance=tolerance)


CASES: tuple[OpCase, ...] = (
    _case((1, 2, 5, 8), (1, 2, 7, 8)),
    _case((2, 3, 16, 16), (2, 3, 16, 16)),
    _case((1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 3)),
    _case((1, 2, 5, 32), (1, 2, 64, 32), mask=(5, 64)),
    _case((1, 2, 5, 8), (1, 2, 7, 8), scale=0.3),
    _case((1, 2, 5, 8), (1, 2, 7, 8), is_causal=True),
    _case((1, 2, 7, 8), (1, 2, 5, 8), is_causal=True),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7)),
    _case((2, 2, 9, 8), (2, 2, 2, 8), mask=(2, 1, 9, 2)),
    _case((2, 2, 5, 8), (2, 2, 7, 8), mask=(2, 1, 1, 7)),
    _case((2, 2, 5, 8), (2, 2, 7, 8), mask=(2, 2, 5, 7), mask_dtype="float32"),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7), is_causal=True),
    _case((3, 5, 8), (3, 7, 8)),
    _case((3, 9, 8), (3, 2, 8), mask=(3, 9, 2)),
    _case((5, 8), (7, 8)),
    _case((2, 2, 3, 5, 4), (2, 2, 3, 7, 4)),
    _case((1, 4, 5, 8), (1, 2, 7, 8), enable_gqa=True),
    _case((4, 5, 8), (2, 7, 8), enable_gqa=True),
    _case((1, 4, 5, 8), (1, 1, 7, 8), (1, 1, 7, 6)),
    _case((1, 2, 1, 8), (1, 2, 37, 8)),
    _case((1, 2, 5, 8), (1, 2, 0, 8)),
    _case((1, 2, 0, 8), (1, 2, 3, 8)),
    _case((1, 2, 3, 0), (1, 2, 4, 0), (1, 2, 4, 5)),
    _case((1, 2, 5, 8), (1, 2, 7, 8), dtype="float64", tolerance=1e-12),
    _case((1, 2, 5, 8), (1, 2, 7, 8), dtype="float16", tolerance=2e-3),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7), dtype="float16", tolerance=2e-3),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7), dtype="bfloat16", tolerance=1.6e-2),
)

REFUSED: tuple[OpCase, ...] = (_case((1, 2, 5, 8), (1, 2, 7, 8), dropout_p=0.5),)
