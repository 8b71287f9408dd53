"""Cases of convolutions: padding, stride, dilation, groups, no batch axis, one to three axes."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _conv(
    x: Shape,
    w: Shape,
    bias: bool = True,
    dtype: str = "float32",
    fill: str = "normal",
    tolerance: float = 1e-5,
    **attrs: Any,
) -> OpCase:
    spatial = len(w) - 2
    transposed = attrs.pop("transposed", False)
    args = [Arg("input", x, dtype, fill), Arg("weight", w, dtype)]
    channels = w[1] * attrs.get("groups", 1) if transposed else w[0]
    if bias:
        args.append(Arg("bias", (channels,), dtype))
    name = f"conv_transpose{spatial}d" if transposed else f"conv{spatial}d"
    return OpCase(name, tuple(args), attrs, tolerance=tolerance)


def _transposed(x: Shape, w: Shape, bias: bool = True, **more: Any) -> OpCase:
    return _conv(x, w, bias, transposed=True, **more)


CASES: tuple[OpCase, ...] = (
    _conv((1, 3, 8, 8), (4, 3, 3, 3)),
    _conv((2, 3, 9, 7), (5, 3, 3, 3), False, stride=(2, 2), padding=(1, 1)),
    _conv((1, 3, 9, 7), (5, 3, 3, 2), padding="same"),
    _conv((1, 3, 9, 7), (5, 3, 4, 4), padding="same", dilation=(1, 2)),
    _conv((1, 3, 9, 7), (5, 3, 3, 3), padding="valid"),
    _conv((3, 9, 7), (5, 3, 3, 3), padding=(1, 1)),
    _conv((1, 3, 12, 11), (5, 3, 3, 3), dilation=(2, 3), padding=(2, 3)),
    _conv((1, 6, 7, 7), (6, 1, 3, 3), groups=6, padding=(1, 1)),
    _conv((1, 6, 7, 7), (12, 1, 3, 3), groups=6, stride=(2, 2)),
    _conv((2, 6, 7, 7), (9, 2, 3, 3), groups=3, padding=(1, 0)),
    _conv((1, 16, 5, 5), (8, 16, 1, 1), False),
    _conv((1, 3, 20, 20), (4, 3, 7, 7), stride=(2, 2), padding=(3, 3)),
    _conv((1, 3, 9, 9), (4, 3, 2, 2), stride=(3, 4)),
    _conv((0, 3, 8, 8), (4, 3, 3, 3)),
    _conv((1, 2, 8, 8), (4, 2, 3, 3), dtype="float64", tolerance=1e-12),
    _conv((1, 8, 6, 6), (4, 8, 3, 3), dtype="float16", tolerance=2e-3),
    _conv((1, 8, 6, 6), (4, 8, 3, 3), dtype="bfloat16", tolerance=1.6e-2),
    _conv((1, 2, 5, 5), (3, 2, 2, 2), dtype="int64", padding=(1, 1)),
    _conv((1, 2, 9, 9), (3, 2, 2, 2), fill="special"),
    _conv((2, 3, 17), (5, 3, 4), stride=(3,), padding=(2,)),
    _conv((3, 17), (5, 3, 4), dilation=(2,)),
    _conv((1, 4, 17), (4, 1, 3), groups=4, padding="same"),
    _conv((1, 2, 5, 6, 7), (3, 2, 3, 2, 3), padding=(1, 0, 1)),
    _conv((2, 5, 6, 7), (3, 2, 3, 2, 3), stride=(2, 1, 2)),
    _conv((1, 4, 5, 6, 7), (4, 2, 3, 3, 3), groups=2, dilation=(1, 2, 1), padding="same"),
    _transposed((1, 3, 5, 5), (3, 4, 3, 3)),
    _transposed((1, 3, 5, 4), (3, 4, 2, 2), stride=(2, 2)),
    _transposed((2, 3, 5, 4), (3, 4, 3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1)),
    _transposed((1, 4, 5, 4), (4, 3, 4, 4), False, stride=(2, 2), padding=(1, 1)),
    _transposed((1, 4, 5, 4), (4, 2, 3, 3), groups=2, stride=(3, 2), padding=(0, 1)),
    _transposed((1, 4, 5, 4), (4, 1, 3, 3), groups=4, stride=(2, 2)),
    _transposed((1, 3, 5, 4), (3, 2, 3, 3), dilation=(2, 2), padding=(1, 2)),
    _transposed((1, 3, 5, 4), (3, 2, 3, 2), dilation=(2, 3), stride=(3, 2), output_padding=(1, 0)),
    _transposed((3, 5, 4), (3, 2, 2, 3), stride=(1, 3)),
    _transposed((0, 3, 5, 4), (3, 2, 2, 3)),
    _transposed((1, 3, 5, 5), (3, 4, 3, 3), dtype="float64", tolerance=1e-12),
    _transposed((1, 3, 9, 5), (3, 4, 3, 3), stride=(2, 2), fill="special"),
    _transposed((2, 3, 9), (3, 4, 5), stride=(2,), padding=(2,), output_padding=(1,)),
    _transposed((3, 9), (3, 4, 5), stride=(4,), dilation=(1,)),
    _transposed((1, 2, 3, 4, 3), (2, 3, 2, 2, 2), stride=(2, 2, 2)),
    _transposed((1, 2, 3, 4, 3), (2, 3, 3, 2, 3), stride=(2, 1, 2), padding=(1, 0, 1)),
    _conv((0, 3, 17), (5, 3, 4)),
    _conv((0, 2, 5, 6, 7), (3, 2, 3, 2, 3)),
    _transposed((0, 3, 9), (3, 4, 5)),
    _transposed((0, 2, 3, 4, 3), (2, 3, 2, 2, 2)),
    _transposed((2, 3, 4, 3), (2, 3, 2, 2, 2), groups=2),
    # strides that share a factor with the dilation, or exceed the kernel; more phases than one kernel each
    _transposed((1, 3, 7), (3, 4, 3), stride=(4,), dilation=(2,), padding=(1,), output_padding=(3,)),
    _transposed((1, 3, 7), (3, 4, 5), stride=(2,), dilation=(4,), padding=(3,)),
    _transposed((1, 3, 7), (3, 4, 4), stride=(6,), dilation=(9,)),
    _transposed((1, 3, 7), (3, 4, 2), stride=(5,), padding=(1,), fill="special"),
    _transposed((1, 2, 3, 4), (2, 3, 10, 10), stride=(5, 5), padding=(2, 1)),
    _transposed((1, 2, 3, 4), (2, 3, 7, 9), stride=(5, 5), padding=(1, 4), output_padding=(2, 0)),
    _transposed((1, 2, 3, 4), (2, 3, 3, 4), stride=(5, 6), dilation=(3, 1)),
    _transposed((1, 4, 3, 4), (4, 2, 3, 4), stride=(5, 4), dilation=(2, 2), groups=2, padding=(2, 0)),
    _transposed((1, 4, 6, 8), (4, 8, 4, 4), stride=(2, 2), padding=(1, 1), dtype="bfloat16", tolerance=1.6e-2),
    _transposed((1, 4, 6, 8), (4, 8, 4, 4), stride=(2, 2), padding=(1, 1), dtype="float16", tolerance=2e-3),
)
