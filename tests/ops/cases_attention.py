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
    # Long enough for blocks of rows: rows and columns that divide into tiles, and that do not.
    _case((2, 3, 24, 16), (2, 3, 32, 16)),
    _case((2, 3, 25, 16), (2, 3, 33, 16)),
    _case((1, 2, 37, 20), (1, 2, 50, 20), (1, 2, 50, 23)),
    _case((1, 2, 13, 8), (1, 2, 17, 8), is_causal=True),
    _case((1, 2, 40, 8), (1, 2, 17, 8), is_causal=True, scale=0.3),
    _case((1, 2, 17, 8), (1, 2, 19, 8), mask=(17, 19)),
    _case((2, 2, 17, 8), (2, 2, 19, 8), mask=(2, 1, 1, 19)),
    _case((2, 2, 17, 8), (2, 2, 19, 8), mask=(17, 1)),
    _case((2, 2, 17, 8), (2, 2, 19, 8), mask=(2, 2, 17, 19), mask_dtype="float32"),
    _case((2, 2, 30, 8), (2, 2, 16, 8), mask=(2, 1, 30, 16), mask_dtype="float32"),
    _case((1, 4, 15, 8), (1, 2, 21, 8), enable_gqa=True),
    _case((4, 15, 8), (2, 21, 8), enable_gqa=True),
    _case((1, 4, 15, 8), (1, 1, 21, 8), (1, 1, 21, 6)),
    _case((2, 2, 3, 15, 4), (2, 2, 3, 17, 4)),
    _case((15, 8), (17, 8)),
    _case((1, 2, 1, 8), (1, 2, 40, 8)),
    _case((1, 2, 26, 8), (1, 2, 37, 8), dtype="float16", tolerance=2e-3),
    _case((1, 2, 26, 8), (1, 2, 37, 8), mask=(26, 37), dtype="bfloat16", tolerance=1.6e-2),
    _case((1, 2, 16, 16), (1, 2, 16, 16), dtype="bfloat16", tolerance=1.6e-2),
    _case((1, 2, 20, 8), (1, 2, 27, 8), dtype="float64", tolerance=1e-12),
    _case((1, 2, 5, 8), (1, 2, 7, 8), dtype="float64", tolerance=1e-12),
    _case((1, 2, 5, 8), (1, 2, 7, 8), dtype="float16", tolerance=2e-3),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7), dtype="float16", tolerance=2e-3),
    _case((1, 2, 5, 8), (1, 2, 7, 8), mask=(5, 7), dtype="bfloat16", tolerance=1.6e-2),
)

REFUSED: tuple[OpCase, ...] = (_case((1, 2, 5, 8), (1, 2, 7, 8), dropout_p=0.5),)
