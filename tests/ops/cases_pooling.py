"""Cases of pooling: strides, padding, dilation, ceil_mode, divisors, adaptive sizes, NaN in windows."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _pool(
    op: str,
    x: Shape,
    kernel: Shape,
    dtype: str = "float32",
    fill: str = "normal",
    outputs: int = 1,
    tolerance: float = 1e-5,
    **attrs: Any,
) -> OpCase:
    args = (Arg("self", x, dtype, fill),)
    return OpCase(op, args, {"kernel_size": kernel, **attrs}, outputs=outputs, tolerance=tolerance)


def _adaptive(op: str, x: Shape, size: Shape, dtype: str = "float32", fill: str = "normal", **kw: Any) -> OpCase:
    outputs = 2 if "max" in op else 1
    return OpCase(op, (Arg("self", x, dtype, fill),), {"output_size": size}, outputs=outputs, **kw)


CASES: tuple[OpCase, ...] = (
    _pool("max_pool2d", (1, 3, 8, 8), (2, 2)),
    _pool("max_pool2d", (2, 3, 9, 7), (3, 3), stride=(2, 2), padding=(1, 1)),
    _pool("max_pool2d", (3, 9, 7), (3, 2), stride=(2, 1), ceil_mode=True),
    _pool("max_pool2d", (1, 3, 10, 11), (3, 3), stride=(2, 2), padding=(1, 1), ceil_mode=True),
    _pool("max_pool2d", (1, 3, 10, 11), (3, 2), stride=(1, 2), dilation=(2, 3)),
    _pool("max_pool2d", (1, 3, 9, 9), (3, 3), fill="special", stride=(1, 1), padding=(1, 1)),
    _pool("max_pool2d", (0, 3, 8, 8), (2, 2)),
    _pool("max_pool2d", (1, 3, 6, 6), (2, 2), dtype="int32"),
    _pool("max_pool2d", (1, 3, 6, 6), (3, 3), dtype="int64", padding=(1, 1), stride=(2, 2)),
    _pool("max_pool2d", (1, 3, 6, 6), (3, 3), dtype="float16", padding=(1, 1)),
    _pool("max_pool2d", (1, 3, 6, 6), (3, 3), dtype="bfloat16", fill="special"),
    _pool("max_pool2d", (1, 3, 6, 6), (2, 2), dtype="float64"),
    _pool("max_pool1d", (2, 3, 17), (3,), stride=(2,), padding=(1,), ceil_mode=True),
    _pool("max_pool1d", (3, 17), (4,), dilation=(2,)),
    _pool("max_pool3d", (1, 2, 5, 6, 7), (2, 3, 2), stride=(2, 2, 1), padding=(1, 1, 0)),
    _pool("max_pool3d", (2, 5, 6, 7), (2, 2, 2), ceil_mode=True),
    _pool("max_pool2d_with_indices", (2, 3, 9, 7), (3, 3), outputs=2, stride=(2, 2), padding=(1, 1)),
    _pool("max_pool2d_with_indices", (1, 3, 9, 9), (2, 2), fill="special", outputs=2),
    _pool("max_pool2d_with_indices", (1, 3, 9, 9), (2, 3), outputs=2, dilation=(2, 2), padding=(1, 1)),
    _pool("max_pool2d_with_indices", (3, 9, 8), (3, 2), dtype="int64", outputs=2, ceil_mode=True),
    # LLVM's vectoriser for straight-line code got these positions wrong.
    _pool("max_pool2d_with_indices", (1, 2, 3, 6), (3, 3), dtype="int64", outputs=2),
    _pool("max_pool2d_with_indices", (1, 2, 3, 7), (3, 3), dtype="int32", outputs=2),
    _pool("max_pool1d_with_indices", (2, 3, 9), (3,), outputs=2),
    _pool("max_pool3d_with_indices", (1, 2, 4, 5, 6), (2, 2, 3), outputs=2, stride=(1, 2, 2)),
    _pool("avg_pool2d", (1, 3, 8, 8), (2, 2)),
    _pool("avg_pool2d", (2, 3, 9, 7), (3, 3), stride=(2, 2), padding=(1, 1)),
    _pool("avg_pool2d", (2, 3, 9, 7), (3, 3), stride=(2, 2), padding=(1, 1), count_include_pad=False),
    _pool("avg_pool2d", (1, 3, 10, 11), (3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True),
    _pool(
        "avg_pool2d",
        (1, 3, 10, 11),
        (3, 4),
        stride=(2, 3),
        padding=(1, 2),
        ceil_mode=True,
        count_include_pad=False,
    ),
    _pool("avg_pool2d", (3, 6, 7), (2, 3), divisor_override=5),
    _pool("avg_pool2d", (1, 3, 6, 7), (2, 2), fill="special"),
    _pool("avg_pool2d", (1, 3, 6, 7), (2, 2), dtype="float16", tolerance=2e-3),
    _pool("avg_pool2d", (1, 3, 6, 7), (2, 2), dtype="bfloat16", tolerance=1.6e-2),
    _pool("avg_pool2d", (1, 3, 6, 7), (2, 2), dtype="float64", tolerance=1e-12),
    _pool("avg_pool1d", (2, 3, 13), (3,), stride=(2,), padding=(1,), ceil_mode=True),
    _pool("avg_pool1d", (3, 13), (4,), count_include_pad=False, padding=(2,)),
    _pool("avg_pool3d", (1, 2, 5, 6, 7), (2, 3, 2), padding=(1, 1, 0), stride=(1, 2, 2)),
    _pool("avg_pool3d", (2, 5, 6, 7), (2, 2, 2), ceil_mode=True, divisor_override=3),
    _adaptive("adaptive_avg_pool2d", (1, 3, 8, 8), (1, 1)),
    _adaptive("adaptive_avg_pool2d", (2, 3, 8, 6), (4, 2)),
    _adaptive("adaptive_avg_pool2d", (1, 3, 7, 7), (3, 5)),
    _adaptive("adaptive_avg_pool2d", (1, 3, 4, 5), (6, 7)),
    _adaptive("adaptive_avg_pool2d", (3, 10, 9), (7, 1)),
    _adaptive("adaptive_avg_pool2d", (0, 3, 10, 9), (7, 1)),
    _adaptive("adaptive_avg_pool2d", (1, 3, 7, 7), (3, 3), "float16", tolerance=2e-3),
    _adaptive("adaptive_avg_pool1d", (2, 3, 11), (4,)),
    _adaptive("adaptive_avg_pool1d", (3, 11), (1,), fill="special"),
    _adaptive("adaptive_avg_pool3d", (1, 2, 5, 6, 7), (2, 3, 1)),
    _adaptive("adaptive_max_pool2d", (1, 3, 7, 8), (3, 5)),
    _adaptive("adaptive_max_pool2d", (3, 7, 8), (1, 1), fill="special"),
    _adaptive("adaptive_max_pool1d", (2, 3, 11), (4,)),
    _adaptive("adaptive_max_pool3d", (1, 2, 5, 6, 7), (2, 3, 2)),
    _pool("max_pool1d", (0, 3, 9), (2,)),
    _pool("max_pool3d", (0, 2, 4, 5, 6), (2, 2, 2)),
    _pool("max_pool1d_with_indices", (3, 9), (2,), outputs=2, stride=(1,), padding=(1,)),
    _pool("max_pool1d_with_indices", (0, 3, 9), (2,), outputs=2),
    _pool("max_pool2d_with_indices", (0, 3, 9, 9), (2, 2), outputs=2),
    _pool("max_pool3d_with_indices", (0, 2, 4, 5, 6), (2, 2, 2), outputs=2),
    _pool("max_pool3d_with_indices", (2, 4, 5, 6), (2, 2, 2), outputs=2, ceil_mode=True),
    _pool("avg_pool1d", (0, 3, 9), (2,)),
    _pool("avg_pool2d", (0, 3, 9, 9), (2, 2)),
    _pool("avg_pool3d", (0, 2, 4, 5, 6), (2, 2, 2)),
    _adaptive("adaptive_avg_pool1d", (0, 3, 9), (2,)),
    _adaptive("adaptive_avg_pool3d", (0, 2, 4, 5, 6), (2, 3, 2)),
    _adaptive("adaptive_avg_pool3d", (2, 4, 5, 6), (1, 1, 1)),
    _adaptive("adaptive_max_pool1d", (0, 3, 9), (2,)),
    _adaptive("adaptive_max_pool1d", (3, 9), (9,)),
    _adaptive("adaptive_max_pool2d", (0, 3, 9, 9), (2, 3)),
    _adaptive("adaptive_max_pool3d", (0, 2, 4, 5, 6), (2, 3, 2)),
    _adaptive("adaptive_max_pool3d", (2, 4, 5, 6), (1, 1, 1)),
)
