"""The rules over blocked tensors against torch: every layer of two networks, odd sizes, every vector width."""

from __future__ import annotations

from typing import Any

import pytest

from optima.graph import Graph
from tests.kernels.harness import TARGETS, chain, check, one_op, target_named

#: (in, out, kernel, stride, padding) of every convolution of ResNet-18 but the first
RESNET18 = (
    (64, 64, 3, 1, 1), (64, 128, 3, 2, 1), (64, 128, 1, 2, 0), (128, 128, 3, 1, 1), (128, 256, 3, 2, 1),
    (128, 256, 1, 2, 0), (256, 256, 3, 1, 1), (256, 512, 3, 2, 1), (256, 512, 1, 2, 0), (512, 512, 3, 1, 1),
)  # fmt: skip
#: (in, out) of the 1x1 convolutions of MobileNetV2; 24 channels are padded to a whole block
MOBILENETV2 = (
    (32, 16), (16, 96), (96, 24), (24, 144), (144, 24), (144, 32), (32, 192), (192, 32), (192, 64), (64, 384),
    (384, 64), (384, 96), (96, 576), (576, 96), (576, 160), (160, 960), (960, 160), (960, 320), (320, 1280),
)  # fmt: skip


def _blocks(channels: int, block: int) -> int:
    return -(-channels // block)


def conv(
    ci: int,
    co: int,
    k: int,
    stride: int,
    pad: int,
    size: tuple[int, int],
    block: int,
    attrs: dict[str, Any] | None = None,
) -> Graph:
    """A blocked convolution with its bias, as ``choose_layout`` writes it."""
    window = {"stride": (stride, stride), "padding": (pad, pad), "dilation": (1, 1), "groups": 1}
    window |= attrs or {}
    groups = window["groups"]
    shapes = {
        "input": (1, _blocks(ci, block), *size, block),
        "weight": (_blocks(co, block), _blocks(ci // groups, block), k, k, block, block),
        "bias": (_blocks(co, block) * block,),
    }
    return one_op("conv2d_blocked", shapes, window)


@pytest.mark.parametrize("layer", RESNET18, ids=str)
def test_every_layer_of_resnet18(layer: tuple[int, ...], caplog: Any) -> None:
    target = target_named("")
    check(conv(*layer, size=(7, 7), block=target.lanes), target, caplog)


@pytest.mark.parametrize("channels", MOBILENETV2, ids=str)
def test_every_pointwise_layer_of_mobilenetv2(channels: tuple[int, int], caplog: Any) -> None:
    target = target_named("")
    check(conv(*channels, 1, 1, 0, size=(7, 7), block=target.lanes), target, caplog)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (1, 37), (5, 3), (13, 17), (28, 28)], ids=str)
def test_convolution_of_any_size_on_any_width(size: tuple[int, int], name: str, caplog: Any) -> None:
    target = target_named(name)
    check(conv(16, 32, 3, 1, 1, size=size, block=target.lanes), target, caplog)


@pytest.mark.parametrize(
    "attrs",
    [
        {"dilation": (2, 2), "padding": (2, 2)},
        {"stride": (2, 1), "padding": (0, 2)},
        {"groups": 2},
        {"padding": (3, 3)},
    ],
    ids=str,
)
def test_attributes_of_the_convolution(attrs: dict[str, Any], caplog: Any) -> None:
    target = target_named("")
    size = (9, 11)
    b = target.lanes
    check(conv(4 * b, 4 * b, 3, 1, 1, size=size, block=b, attrs=attrs), target, caplog)


@pytest.mark.parametrize("name", TARGETS)
def test_first_convolution_reads_dense_channels(name: str, caplog: Any) -> None:
    target = target_named(name)
    b = target.lanes
    shapes = {"input": (2, 3, 30, 30), "weight": (64 // b, 7, 7, 3, b), "bias": (64,)}
    attrs = {"stride": (2, 2), "padding": (3, 3)}
    check(one_op("conv2d_blocked", shapes, attrs), target, caplog)


def test_residual_and_activation_are_written_with_the_tile(caplog: Any) -> None:
    target = target_named("")
    b = target.lanes
    shapes = {
        "x": (1, 2, 14, 14, b), "w": (4, 2, 3, 3, b, b), "bias": (4 * b,), "other": (1, 4, 14, 14, b),
    }  # fmt: skip
    group = chain(
        [
            ("conv2d_blocked", "y", (("input", "x"), ("weight", "w"), ("bias", "bias")), {"padding": (1, 1)}),
            ("add", "z", (("self", "y"), ("other", "other")), {}),
            ("relu", "out", (("self", "z"),), {}),
        ],
        shapes,
        ["out"],
    )
    check(group, target, caplog)


def test_result_that_is_read_again_is_written_whole(caplog: Any) -> None:
    target = target_named("")
    b = target.lanes
    shapes = {"x": (1, 2, 6, 6, b), "w": (2, 2, 1, 1, b, b)}
    group = chain(
        [
            ("conv2d_blocked", "y", (("input", "x"), ("weight", "w")), {}),
            ("relu", "z", (("self", "y"),), {}),
            ("add", "out", (("self", "y"), ("other", "z")), {}),
        ],
        shapes,
        ["y", "out"],
    )
    from optima.ops.reference import run_graph
    from tests.kernels.harness import random_inputs, run_kernel

    inputs = random_inputs(group)
    got, wanted = run_kernel(group, inputs, target), run_graph(group, inputs)
    for name in group.outputs:
        assert abs(got[name] - wanted[name]).max() <= 2e-5 * abs(wanted[name]).max()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(("size", "stride"), [((1, 1), 1), ((7, 7), 1), ((112, 5), 2), ((15, 56), 2)], ids=str)
def test_depthwise(size: tuple[int, int], stride: int, name: str, caplog: Any) -> None:
    target = target_named(name)
    b = target.lanes
    shapes = {"input": (2, 3, *size, b), "weight": (3, 3, 3, b), "bias": (3 * b,)}
    attrs = {"stride": (stride, stride), "padding": (1, 1)}
    check(one_op("depthwise_conv2d_blocked", shapes, attrs), target, caplog)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("max_pool2d_blocked", {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
        ("max_pool2d_blocked", {"kernel_size": (2, 2), "stride": (2, 2), "ceil_mode": True}),
        ("avg_pool2d_blocked", {"kernel_size": (3, 3), "stride": (1, 1), "padding": (1, 1)}),
        (
            "avg_pool2d_blocked",
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "count_include_pad": False},
        ),
    ],
    ids=str,
)
def test_pooling(op: str, attrs: dict[str, Any], caplog: Any) -> None:
    target = target_named("")
    check(one_op(op, {"self": (2, 3, 11, 15, target.lanes)}, attrs), target, caplog)


def test_global_pool_gives_dense_channels(caplog: Any) -> None:
    target = target_named("")
    b = target.lanes
    shapes = {"self": (2, 5, 7, 7, b)}
    check(one_op("global_avg_pool2d_blocked", shapes, {"channels": 5 * b - 3}), target, caplog)


@pytest.mark.parametrize("channels", [16, 3, 40])
def test_moves_between_layouts_lose_nothing(channels: int, caplog: Any) -> None:
    target = target_named("")
    b = target.lanes
    group = chain(
        [
            ("to_blocked", "blocked", (("self", "x"),), {"block": b}),
            ("from_blocked", "out", (("self", "blocked"),), {"channels": channels}),
        ],
        {"x": (2, channels, 5, 7)},
        ["blocked", "out"],
    )
    check(group, target, caplog, tolerance=0.0)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("rows", "features"),
    [((1,), 1000), ((128,), 96), ((2, 197), 40), ((5,), 1), ((3, 1, 2), 64), ((), 20)],
    ids=str,
)
def test_packed_linear(rows: tuple[int, ...], features: int, name: str, caplog: Any) -> None:
    target = target_named(name)
    nb = 2 * target.lanes
    shapes = {
        "input": (*rows, 50), "weight": (_blocks(features, nb), 50, nb), "bias": (features,),
    }  # fmt: skip
    check(one_op("linear_packed", shapes, {"features": features}), target, caplog)
