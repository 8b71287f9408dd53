"""Each family of overloads: the op it becomes, and the same numbers as eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from optima.ops import entry_of
from tests.torch2nx.compare import convert, only_op, ops, same_as_eager
from torch2nx.aten import accepted
from torch2nx.errors import UnsupportedOp


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


X, Y = normal(2, 3, 8, 8), normal(2, 3, 8, 8).abs() + 0.5
IDS = torch.tensor([[0, 2, 1], [3, 3, 0]])
MASK = torch.tensor([True, False, True])

#: name of the one op expected -> (function, inputs)
CASES: list[tuple[str, Callable[..., Any], tuple[Tensor, ...]]] = [
    ("add", lambda x: x + 1, (X,)),
    ("add", lambda x, y: torch.add(x, y, alpha=2), (X, Y)),
    ("rsub", lambda x: 1 - x, (X,)),
    ("reciprocal", lambda x: x.reciprocal(), (Y,)),
    ("pow", lambda x: 2**x, (X,)),
    ("pow", lambda x: x**2, (X,)),
    ("div", lambda x, y: torch.div(x, y, rounding_mode="floor"), (X, Y)),
    ("floor_divide", lambda x: x // 2, (IDS,)),
    ("remainder", lambda x: x % 2, (IDS,)),
    ("maximum", lambda x, y: torch.max(x, y), (X, Y)),
    ("bitwise_and", lambda x: x & 1, (IDS,)),
    ("logical_not", lambda x: x.logical_not(), (MASK,)),
    ("gt", lambda x: x > 0.5, (X,)),
    ("where", lambda x, m: x.where(m, 0.0), (X, Y.bool())),
    ("masked_fill", lambda x, m: x.masked_fill(m, float("-inf")), (normal(2, 3), MASK)),
    ("addcmul", lambda x, y: torch.addcmul(x, x, y, value=0.5), (X, Y)),
    ("xlogy", lambda x: torch.special.xlogy(2.5, x), (Y,)),
    ("sign", lambda x: x.sgn(), (X,)),
    ("bitwise_left_shift", lambda x: x << 1, (IDS,)),
    ("frexp", lambda x: tuple(torch.frexp(x)), (X,)),
    ("glu", lambda x: F.glu(x, 2), (X,)),
    ("view", lambda x: x.view(torch.int32), (X,)),
    ("clamp", lambda x: x.clamp(min=-0.5), (X,)),
    ("clamp_min", lambda x: x.clamp_min(0.1), (X,)),
    ("to", lambda x: x.double(), (X,)),
    ("to", lambda x, y: x.type_as(y), (X, IDS)),
    ("hardtanh", lambda x: F.relu6(x), (X,)),
    ("leaky_relu", lambda x: F.rrelu(x, 0.1, 0.3), (X,)),
    ("gelu", lambda x: F.gelu(x, approximate="tanh"), (X,)),
    ("prelu", lambda x, w: F.prelu(x, w), (X, normal(3))),
    ("conv1d", lambda x, w: F.conv1d(x, w, padding="same", dilation=2), (normal(1, 2, 9), normal(3, 2, 3))),
    ("conv2d", lambda x, w: F.conv2d(x, w, stride=2, padding=1), (X, normal(4, 3, 3, 3))),
    ("conv2d", lambda x, w: F.conv2d(x, w, padding="valid"), (X, normal(4, 3, 3, 3))),
    ("conv3d", lambda x, w: F.conv3d(x, w), (normal(1, 2, 4, 4, 4), normal(3, 2, 2, 2, 2))),
    ("conv_transpose1d", lambda x, w: F.conv_transpose1d(x, w, stride=2), (normal(1, 2, 5), normal(2, 3, 3))),
    ("conv_transpose2d", lambda x, w: F.conv_transpose2d(x, w, stride=2, output_padding=1),
     (X, normal(3, 4, 3, 3))),
    ("group_norm", lambda x: F.group_norm(x, 3), (X,)),
    ("layer_norm", lambda x: F.layer_norm(x, (8, 8)), (X,)),
    ("instance_norm", lambda x: F.instance_norm(x), (X,)),
    ("rms_norm", lambda x: F.rms_norm(x, (8,)), (X,)),
    ("softmax", lambda x: F.softmax(x, dim=1), (X,)),
    ("log_softmax", lambda x: F.log_softmax(x, dim=-1, dtype=torch.float64), (X,)),
    ("linear", lambda x, w, b: F.linear(x, w, b), (normal(2, 3), normal(4, 3), normal(4))),
    ("addmm", lambda b, x, w: torch.addmm(b, x, w, beta=0.5), (normal(4), normal(2, 3), normal(3, 4))),
    ("baddbmm", lambda b, x, w: torch.baddbmm(b, x, w), (normal(2, 3, 5), normal(2, 3, 4), normal(2, 4, 5))),
    ("scaled_dot_product_attention",
     lambda q, k, m: F.scaled_dot_product_attention(q, k, k, attn_mask=m, scale=0.3),
     (normal(1, 2, 4, 8), normal(1, 2, 5, 8), torch.ones(4, 5).tril().bool())),
    ("embedding", lambda i, w: F.embedding(i, w, padding_idx=0), (IDS, normal(4, 5))),
    ("mean", lambda x: x.mean(), (X,)),
    ("mean", lambda x: x.mean((2, 3), keepdim=True), (X,)),
    ("sum", lambda x: x.sum(1), (X,)),
    ("amax", lambda x: x.max(), (X,)),
    ("max", lambda x: tuple(torch.max(x, 2)), (X,)),
    ("argmax", lambda x: x.argmax(1), (X,)),
    ("any", lambda x: x.any(0), (MASK,)),
    ("all", lambda x: x.all(), (MASK,)),
    ("var", lambda x: x.var(1, unbiased=False), (X,)),
    ("std", lambda x: x.std(), (X,)),
    ("var_mean", lambda x: torch.var_mean(x, (1, 2), unbiased=False), (X,)),
    ("std_mean", lambda x: torch.std_mean(x, correction=2, dim=1, keepdim=True), (X,)),
    ("count_nonzero", lambda x: torch.count_nonzero(x, (0, 1)), (IDS,)),
    ("cumsum", lambda x: x.cumsum(1), (X,)),
    ("prod", lambda x: x.prod(1), (X,)),
    ("linalg_vector_norm", lambda x: x.norm(dim=1), (X,)),
    ("reshape", lambda x: x.view(2, -1), (X,)),
    ("reshape", lambda x, y: x.reshape_as(y), (X, normal(6, 64))),
    ("flatten", lambda x: x.flatten(1), (X,)),
    ("unflatten", lambda x: x.unflatten(3, (2, 4)), (X,)),
    ("transpose", lambda x: x.mT, (X,)),
    ("permute", lambda x: x.movedim(1, -1), (X,)),
    ("permute", lambda x: x.movedim((0, 1), (2, 0)), (X,)),
    ("permute", lambda x: x.permute(0, 2, 3, 1), (X,)),
    ("permute", lambda x: torch.permute_copy(x, (0, 2, 3, 1)), (X,)),
    ("transpose", lambda x: torch.t_copy(x), (normal(2, 3),)),
    ("slice", lambda x: torch.narrow_copy(x, 2, 3, 2), (X,)),
    ("slice", lambda x: x[:, -2:], (X,)),
    ("slice", lambda x: x.narrow(2, -3, 2), (X,)),
    ("select", lambda x: x[:, -1], (X,)),
    ("unsqueeze", lambda x: x[:, None], (X,)),
    ("squeeze", lambda x: x.squeeze(), (normal(1, 3, 1),)),
    ("squeeze", lambda x: x.squeeze((0, 2)), (normal(1, 3, 1),)),
    ("expand", lambda x, y: x.expand_as(y), (normal(3, 1, 1), X)),
    ("split", lambda x: x.split(2, dim=1), (X,)),
    ("split_with_sizes", lambda x: x.split([1, 2], dim=1), (X,)),
    ("split_with_sizes", lambda x: torch.tensor_split(x, 3, dim=2), (X,)),
    ("chunk", lambda x: x.chunk(3, 2), (X,)),
    ("unbind", lambda x: x.unbind(1), (X,)),
    ("cat", lambda x, y: torch.cat([x, y, x], 1), (X, Y)),
    ("cat", lambda x, y: torch.cat([y, x], 1), (X, torch.zeros(0))),
    ("stack", lambda x, y: torch.stack([x, y], -1), (X, Y)),
    ("pad", lambda x: F.pad(x, (1, 2, 0, 1)), (X,)),
    ("pad", lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"), (X,)),
    ("pad", lambda x: F.pad(x, (1, -1), value=3.0), (X,)),
    ("max_pool2d", lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (X,)),
    ("avg_pool2d", lambda x: F.avg_pool2d(x, (2, 3), count_include_pad=False), (X,)),
    ("max_pool1d", lambda x: F.max_pool1d(x, 2), (normal(2, 3, 8),)),
    ("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 3), (X,)),
    ("upsample_nearest2d", lambda x: F.interpolate(x, scale_factor=2), (X,)),
    ("upsample_bilinear2d", lambda x: F.interpolate(x, (5, 9), mode="bilinear", align_corners=True), (X,)),
    ("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), (normal(1, 8, 3, 3),)),
    ("gather", lambda x, i: x.gather(1, i), (normal(2, 4), IDS)),
    ("index_select", lambda x, i: x.index_select(2, i), (X, torch.tensor([3, 1]))),
    ("index", lambda x, i, j: x[:, i, j], (X, torch.tensor([2, 1]), torch.tensor([3, 4]))),
    ("roll", lambda x: x.roll((1, -2), (2, 3)), (X,)),
    ("flip", lambda x: x.flip(1, 2), (X,)),
    ("repeat", lambda x: x.repeat(2, 1, 1), (normal(2, 3),)),
    ("repeat", lambda x: x.tile(2), (normal(2, 3),)),
    ("tril", lambda x: x.tril(-1), (X,)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "function", "inputs"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_overload(op: str, function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    graph = same_as_eager(Call(function), *inputs)
    assert ops(graph) == [op]


def test_every_accepted_overload_exists_and_has_an_entry() -> None:
    # Packed sequences have rows only to be refused with the reason.
    refused = {"_pack_padded_sequence", "_pad_packed_sequence"}
    missing = {op for op in accepted().values() if entry_of(op) is None} - refused
    assert not missing
    for key in accepted():
        namespace, packet, overload = key.split(".")
        if namespace == "aten":
            assert hasattr(getattr(torch.ops.aten, packet), overload), key


def test_unequal_same_padding_stays_text() -> None:
    graph = convert(Call(lambda x, w: F.conv2d(x, w, padding="same")), X, normal(4, 3, 2, 3))
    assert only_op(graph, "conv2d")["attrs"]["padding"] == "same"


def test_defaults_are_filled_in_and_lists_are_whole() -> None:
    graph = convert(Call(lambda x: F.max_pool2d(x, 2)), X)
    assert only_op(graph, "max_pool2d")["attrs"] == {
        "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil_mode": False,
    }  # fmt: skip


def test_list_operands_and_absent_indices_keep_their_place() -> None:
    graph = convert(Call(lambda x, i: x[:, :, i]), X, torch.tensor([1, 0]))
    assert only_op(graph, "index")["roles"] == ["self", "indices.2"]


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Any:
        return self.lstm(x)


def test_lstm_is_one_op_with_three_outputs() -> None:
    torch.manual_seed(0)
    data = only_op(same_as_eager(Lstm(), normal(2, 5, 3)), "lstm")
    assert data["roles"] == ["input", "hx.0", "hx.1", *(f"params.{i}" for i in range(16))]
    assert len(data["outputs"]) == 3
    assert data["attrs"] == {
        "has_biases": True, "num_layers": 2, "dropout": 0.0, "train": False, "bidirectional": True,
        "batch_first": True,
    }  # fmt: skip


def test_every_unsupported_op_is_listed_with_its_line() -> None:
    def function(x: Tensor) -> Tensor:
        y = torch.linalg.svdvals(x)
        z = torch.rand(3)
        w = torch.fft.fft(x).real
        return y + z + w.sum()

    with pytest.raises(UnsupportedOp) as caught:
        convert(Call(function), normal(3, 3))
    rows = {(p.subject, p.reason) for p in caught.value.problems}
    assert ("aten.linalg_svdvals.default", "no operator of Optima corresponds to it") in rows
    assert ("aten.rand.default", "it draws random numbers: take them as an argument of forward") in rows
    assert any("fft" in subject for subject, _ in rows)
    first = caught.value.problems[0]
    assert "test_aten.py" in first.where and first.code == "y = torch.linalg.svdvals(x)"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5), "random"),
        (lambda x: x[x > 0], "depends on the data"),
        (lambda x: torch.view_as_complex(x.reshape(-1, 2)).abs(), "omplex"),
        (lambda x: torch.linalg.svdvals(x), "no operator"),
    ],
)
def test_refused_with_the_reason(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(UnsupportedOp) as caught:
        convert(Call(function), X)
    assert any(reason in p.reason for p in caught.value.problems), str(caught.value)
