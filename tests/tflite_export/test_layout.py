"""Where data moves: at the ends of a chain of image operators and nowhere between."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from optima.graph import Graph
from optima.graph_io import load_graph
from optima.ops.tflite.layout import merged, moves_data, stored, through_reshape
from optima.tflite_export import emit
from torch2nx.converter import Torch2GraphConverter


class Wrapped(nn.Module):
    """A function with a few layers at hand."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.conv, self.narrow = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def graph_of(function: Callable[..., torch.Tensor], shape: tuple[int, ...] = (1, 3, 8, 8)) -> Graph:
    torch.manual_seed(0)
    traced = Torch2GraphConverter().convert(
        model=Wrapped(function).eval(), fake_torch_data=[torch.randn(shape)], gpu=False
    )
    return load_graph(traced)


def text(function: Callable[..., torch.Tensor]) -> str:
    return emit(graph_of(function)).dump()


def test_a_chain_moves_data_at_its_ends_alone() -> None:
    assert text(lambda m, x: F.relu6(m.narrow(F.relu(m.conv(x)))) + 1) == (
        "tensor_0[1, 3, 8, 8] ->\n"
        "  conv2d_1/TRANSPOSE_0[1, 8, 8, 3] = TRANSPOSE(tensor_0, const[4])\n"
        "  conv2d_1/PAD_0[1, 9, 9, 3] = PAD(conv2d_1/TRANSPOSE_0, const[4, 2])\n"
        "  relu_5/RELU_0[1, 4, 4, 8] = CONV_2D(conv2d_1/PAD_0, const[8, 3, 3, 3], const[8]) RELU\n"
        "  hardtanh_11/RELU6_0[1, 4, 4, 8] = DEPTHWISE_CONV_2D(relu_5/RELU_0, const[1, 3, 3, 8], const[8]) RELU6\n"
        "  add_13/ADD_0[1, 4, 4, 8] = ADD(hardtanh_11/RELU6_0, const[1])\n"
        "  tensor_14[1, 8, 4, 4] = TRANSPOSE(add_13/ADD_0, const[4])\n"
        "-> tensor_14\n"
    )


@pytest.mark.parametrize(
    ("function", "moves"),
    [
        (lambda m, x: m.head(m.conv(x).mean((2, 3))), 1),
        (lambda m, x: m.head(F.adaptive_avg_pool2d(m.conv(x), 1).flatten(1)), 1),
        (lambda m, x: m.head(m.conv(x).flatten(2).transpose(1, 2)), 1),
        (lambda m, x: m.head(m.conv(x).permute(0, 2, 3, 1)), 1),
        (lambda m, x: torch.softmax(m.conv(x), 1), 2),
        (lambda m, x: torch.cat([m.conv(x), m.narrow(m.conv(x))], 1), 2),
        (lambda m, x: torch.sigmoid(m.conv(x)) * m.conv(x)[:, :, :2].mean((2, 3), keepdim=True), 2),
        (lambda m, x: m.conv(x).reshape(1, 4, 2, 16), 2),
        (lambda m, x: x + 1, 0),
    ],
    ids=["mean", "flatten", "patches", "channels last", "softmax", "cat", "gate", "reshape", "no image"],
)
def test_how_often_data_moves(function: Callable[..., torch.Tensor], moves: int) -> None:
    assert text(function).count("= TRANSPOSE(") == moves


def test_a_relu6_that_nothing_takes_in_becomes_a_product() -> None:
    graph = graph_of(lambda m, x: F.relu6(F.max_pool2d(x, 2)))
    assert [n.op for n in emit(graph).nodes] == ["TRANSPOSE", "MAX_POOL_2D", "MUL", "TRANSPOSE"]


def test_a_pool_after_a_relu_is_padded_with_zeros() -> None:
    after = [n.op for n in emit(graph_of(lambda m, x: F.max_pool2d(F.relu(m.conv(x)), 3, 2, 1))).nodes]
    alone = [n.op for n in emit(graph_of(lambda m, x: F.max_pool2d(m.conv(x), 3, 2, 1))).nodes]
    assert after.count("PAD") == 2 and "CONCATENATION" not in after
    assert alone.count("PAD") == 1 and alone.count("CONCATENATION") == 2


@pytest.mark.parametrize(
    ("shape", "order", "target", "found"),
    [
        ((1, 8, 4, 5), (0, 2, 3, 1), (1, 8, 20), (0, 2, 1)),
        ((1, 8, 4, 5), (0, 2, 3, 1), (8, 20), (1, 0)),
        ((2, 8, 1, 1), (0, 2, 3, 1), (2, 8), (0, 1)),
        ((2, 8, 4, 5), (0, 2, 3, 1), (2, 160), None),
        ((2, 8, 4, 5), (0, 2, 3, 1), (2, 4, 2, 4, 5), (0, 3, 4, 1, 2)),
        ((6,), (0,), (1, 2, 3), (0, 1, 2)),
        ((2, 3), (1, 0), (2, 1, 3), (1, 2, 0)),
    ],
)
def test_an_order_seen_through_a_reshape(
    shape: tuple[int, ...], order: tuple[int, ...], target: tuple[int, ...], found: tuple[int, ...] | None
) -> None:
    """Where it gives an order, reshaping the stored data is reshaping the tensor."""
    made = through_reshape(shape, order, target)
    assert (made is None) == (found is None)
    if made is not None and found is not None:
        x = torch.arange(int(torch.tensor(shape).prod())).reshape(shape)
        stored_new = x.permute(order).reshape(stored(target, made))
        back = [made.index(a) for a in range(len(target))]
        assert torch.equal(stored_new.permute(back), x.reshape(target))
        assert not moves_data(target, made, found)


@pytest.mark.parametrize("axes", [(0, 1, 3, 2, 4, 5), (5, 4, 3, 2, 1, 0), (0, 3, 1, 2, 5, 4), (2, 0, 1, 4, 5, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 2, 3, 2), (1, 3, 1, 2, 3, 2)])
def test_a_permutation_of_merged_axes_moves_the_same_elements(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = torch.arange(int(torch.tensor(shape).prod())).reshape(shape)
    extents, order = merged(shape, axes)
    assert torch.equal(x.reshape(extents).permute(order).flatten(), x.permute(axes).flatten())
    assert len(extents) < len(shape) or axes == (5, 4, 3, 2, 1, 0)


def test_windows_of_an_image_are_moved_with_few_axes() -> None:
    graph = graph_of(lambda m, x: x.reshape(1, 3, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(4, 16, 3))
    moves = [n for n in emit(graph).nodes if n.op == "TRANSPOSE"]
    assert len(moves) == 1
