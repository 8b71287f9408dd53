"""In-place ops and writes through views: the graph is functional and computes what eager computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.torch2nx.compare import convert, ops, same_as_eager
from torch2nx import exporting
from torch2nx.errors import ConvertError


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args)


def chain(x: Tensor, y: Tensor) -> Tensor:
    z = x + y
    z += x
    z.mul_(2).relu_()
    return z - y


def read_under_the_old_name(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    a = x * 2
    b = a.add_(1)
    c = a * y  # a has changed too
    b.sub_(3)
    return a, b, c


def dropout_is_the_same_tensor(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 2
    b = F.dropout(a, 0.5, training=False)
    b += y
    return a, b


def same_shape_reshape(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 2
    b = a.reshape(a.shape)
    b += y
    return a, b


def view_whose_base_is_not_read(x: Tensor, y: Tensor) -> Tensor:
    a = (x * 2).view(-1)
    a.relu_()
    return a + y.reshape(-1)


def promoted(x: Tensor, y: Tensor) -> Tensor:
    z = x.to(torch.float32) * 1
    z += y.to(torch.float64)
    return z


def compared_in_place(x: Tensor, y: Tensor) -> Tensor:
    z = x * 1
    z.gt_(y)
    return z


def copied(x: Tensor, y: Tensor) -> Tensor:
    z = x * 1
    z.copy_(y)
    return z + 1


@pytest.mark.parametrize(
    "function",
    [
        chain, read_under_the_old_name, dropout_is_the_same_tensor, same_shape_reshape,
        view_whose_base_is_not_read, promoted, compared_in_place, copied,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_own_pass(function: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    graph = same_as_eager(Call(function), torch.randn(2, 3), torch.randn(2, 3))
    assert not any(op.endswith("_") or op in ("view", "clone", "dropout") for op in ops(graph))


def slice_assignment(x: Tensor, y: Tensor) -> Tensor:
    z = x * 1
    z[:, 0] = 5
    z[1] = y[0]
    z[:, 1:] += 2
    return z


def view_read_after_its_base_changed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 1
    b = a[:, 1]
    a += y
    return a, b * 2


def base_read_after_its_view_changed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 1
    b = a.t()
    b.add_(1)
    return a * y, b


def buffer_filled_row_by_row(x: Tensor, y: Tensor) -> Tensor:
    out = torch.zeros(4, 3)
    out[0:2] = x
    out[2:, :2] = y[:, 1:]
    return out


def transposed_in_place(x: Tensor, y: Tensor) -> Tensor:
    z = x * 1
    z.t_()
    return z @ y


def dropout_then_a_slice(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 2
    b = F.dropout(a, 0.5, training=False)
    b[0] = 7
    return a, b


def halves(x: Tensor, y: Tensor) -> Tensor:
    left, right = (x * 1).split([1, 2], dim=1)
    left.sigmoid_()
    right.exp_()
    return torch.cat([right, left], 1) + y


def dropped_row_beside_another_row(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = x * 2
    row, other = F.dropout(a[1], 0.5, training=False), a[0]
    row.add_(1)
    return a, other * y


def every_kind_of_view(x: Tensor, y: Tensor) -> list[Tensor]:
    a = torch.cat([x, y], 1).reshape(2, 2, 3) * 1
    seen = [a[-1, 0], a.permute(2, 0, 1), a.flatten(1), a[:, :, ::2]]
    a.diagonal(1, 0, 2).fill_(3)
    a.permute(2, -3, 1)[-2].mul_(2)
    a.chunk(2, dim=-1)[1].sub_(1)
    a.unbind(0)[1].view(6)[1:4].exp_()
    a.unsqueeze(1).transpose(-1, 1).squeeze(3)[1:, 1].neg_()
    return [*seen, a]


@pytest.mark.parametrize(
    "function",
    [
        slice_assignment, view_read_after_its_base_changed, base_read_after_its_view_changed,
        buffer_filled_row_by_row, transposed_in_place, dropout_then_a_slice, halves,
        dropped_row_beside_another_row, every_kind_of_view,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_writes_through_views(function: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    graph = same_as_eager(Call(function), torch.randn(2, 3), torch.randn(2, 3))
    assert not any(op.endswith("_") for op in ops(graph))


@pytest.mark.parametrize("function", [every_kind_of_view, slice_assignment, halves], ids=lambda f: f.__name__)
def test_common_views_need_no_second_trace(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def again(program: Any) -> Any:
        raise AssertionError("traced twice")

    monkeypatch.setattr(exporting, "functional", again)
    torch.manual_seed(0)
    same_as_eager(Call(function), torch.randn(2, 3), torch.randn(2, 3))


def test_other_views_are_left_to_torch() -> None:
    def windows(x: Tensor) -> Tensor:
        a = x * 2
        a.as_strided((2, 2), (1, 2)).add_(1)
        return a

    same_as_eager(Call(windows), torch.randn(2, 3))


def permuted_by_einsum(x: Tensor) -> tuple[Tensor, Tensor]:
    y = x * 1
    z = torch.einsum("ij->ji", y)
    z += 1
    return y, z


def shuffled_into_one_group(x: Tensor) -> tuple[Tensor, Tensor]:
    y = x.reshape(1, 2, 1, 3) * 1
    z = F.channel_shuffle(y, 1)
    z += 1
    return y, z


def base_of_an_einsum(x: Tensor) -> tuple[Tensor, Tensor]:
    y = x * 1
    z = torch.einsum("ij->ji", y)
    y += 1
    return y, z


@pytest.mark.parametrize("function", [permuted_by_einsum, shuffled_into_one_group, base_of_an_einsum])
def test_a_write_beside_a_view_by_accident_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ConvertError, match="may or may not be a view"):
        convert(Call(function), torch.randn(2, 3))


class Net(nn.Module):
    """A view write beside layers whose names and granularity must not suffer from it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(F.relu(self.norm(self.conv(x)), inplace=True))
        x[:, 0] = 0
        return F.log_softmax(self.head(F.adaptive_avg_pool2d(x, 1).flatten(1)), -1)


def test_granularity_survives_the_fallback() -> None:
    torch.manual_seed(0)
    graph = convert(Net(), torch.randn(1, 3, 6, 6))
    found = ops(graph)
    for op in ("conv2d", "batch_norm", "relu", "adaptive_avg_pool2d", "linear", "log_softmax"):
        assert found.count(op) == 1, found
    assert "clone" not in found


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        x = x + self.count
        self.weight.view(-1)[0] = 3
        return x


def test_written_state_is_refused_with_every_line() -> None:
    with pytest.raises(ConvertError) as caught:
        convert(Counter(), torch.randn(3))
    assert [p.reason for p in caught.value.problems] == [
        "it changes 'count' in place",
        "it changes 'weight' in place",
    ]
    assert caught.value.problems[0].code == "self.count += 1"


def test_written_input_is_refused() -> None:
    def function(x: Tensor) -> Tensor:
        x.view(-1).mul_(2)
        return x + 1

    with pytest.raises(ConvertError, match="changes its inputs"):
        convert(Call(function), torch.randn(3))
