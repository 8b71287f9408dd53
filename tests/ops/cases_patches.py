"""Cases of patches and of unpooling: uneven strides and paddings, dilation, one image without a batch, empty."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _im2col(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    dtype: str = "float32",
) -> OpCase:
    attrs = {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    return OpCase("im2col", (Arg("self", shape, dtype),), attrs, tolerance=0.0)


def _col2im(case: OpCase, dtype: str = "float32") -> OpCase:
    """Back from what ``case`` makes."""
    graph = case.graph()
    (image,) = case.args
    columns = graph.type_of("out_0").shape
    return OpCase("col2im", (Arg("self", columns, dtype),), {"output_size": image.shape[-2:], **case.attrs})


_FORWARD = (
    _im2col((2, 3, 8, 9), (3, 3), stride=(2, 2), padding=(1, 1)),
    _im2col((1, 2, 5, 40), (2, 3), padding=(0, 2)),
    _im2col((2, 7, 6), (3, 2), stride=(1, 3), padding=(2, 1), dilation=(2, 3)),
    _im2col((1, 1, 4, 4), (1, 1), stride=(3, 3), padding=(3, 3)),
    _im2col((1, 64, 28, 28), (3, 3), stride=(2, 2), padding=(1, 1)),
)


def _unpool(shape: tuple[int, ...], size: tuple[int, ...], dtype: str = "float32") -> OpCase:
    high = 1
    for extent in size:
        high *= extent
    op = f"max_unpool{len(size)}d"
    args = (Arg("self", shape, dtype), Arg("indices", shape, "int64", "index", high))
    attrs = {"output_size": size}
    if len(size) == 3:
        attrs |= {"stride": (2, 2, 2), "padding": (0, 0, 0)}
    return OpCase(op, args, attrs, tolerance=0.0)


CASES: tuple[OpCase, ...] = (
    *_FORWARD,
    _im2col((1, 2, 5, 20), (2, 2), padding=(1, 1), dtype="bfloat16"),
    _im2col((1, 2, 5, 20), (2, 2), padding=(1, 1), dtype="bool"),
    _im2col((0, 2, 5, 6), (2, 2)),
    *map(_col2im, _FORWARD),
    _col2im(_FORWARD[0], "float16"),
    _col2im(_im2col((0, 2, 5, 6), (2, 2))),
    _unpool((2, 3, 2, 1), (4, 5)),
    _unpool((3, 1, 2), (4, 20), "bfloat16"),
    _unpool((0, 3, 2, 2), (4, 4)),
    _unpool((2, 3, 1, 2, 2), (2, 4, 4)),
    _unpool((3, 1, 2, 2), (2, 4, 4), "float64"),
    _unpool((0, 3, 1, 2, 2), (2, 4, 4)),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase(
        "col2im",
        (Arg("self", (1, 4, 4), "bool"),),
        {"output_size": (3, 3), "kernel_size": (2, 2), "dilation": (1, 1), "padding": (0, 0), "stride": (1, 1)},
    ),
)
