"""Operators that change their arguments without saying so, or that no definition of torch's describes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.torch2nx.compare import convert, ops, same_as_eager
from torch2nx.errors import ConvertError, UnsupportedOp


class BatchStatistics(nn.Module):
    def forward(self, x: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, training=True, momentum=0.3), mean, var


class InstanceStatistics(nn.Module):
    def forward(self, x: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, var = mean.clone(), var.clone()
        return F.instance_norm(x, mean, var, use_input_stats=True, momentum=0.3), mean, var


class OnlyResult(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, torch.zeros(3), torch.ones(3), training=True)


@pytest.mark.parametrize("module", [BatchStatistics, InstanceStatistics])
@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 5), (1, 3, 2, 2, 3)])
def test_running_statistics_of_the_model_s_own_are_followed(module: Any, shape: tuple[int, ...]) -> None:
    same_as_eager(module(), torch.randn(shape) * 3 + 1, torch.rand(3), torch.rand(3))


def test_statistics_that_nothing_reads_cost_nothing() -> None:
    assert ops(same_as_eager(OnlyResult(), torch.randn(2, 3, 4))) == ["batch_norm"]


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_that_are_state_are_refused(name: str) -> None:
    class Updating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("var", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return getattr(F, name)(x, self.mean, self.var, None, None, True)  # type: ignore[no-any-return]

    with pytest.raises(UnsupportedOp, match="updates running statistics"):
        convert(Updating(), torch.randn(2, 3, 4))


def test_statistics_that_do_not_move_are_no_state() -> None:
    class Still(nn.Module):
        def forward(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
            return F.batch_norm(x, mean, var, training=True, momentum=0.0)

    same_as_eager(Still(), torch.randn(2, 3, 4), torch.rand(3), torch.rand(3))
    same_as_eager(Still(), torch.randn(2, 0, 4), torch.rand(0), torch.rand(0))


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5])
def test_rows_that_are_looked_up_are_scaled_to_their_largest_norm(norm_type: float) -> None:
    class Looked(nn.Module):
        def forward(self, weight: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            weight = weight.clone()
            return F.embedding(index, weight, max_norm=1.5, norm_type=norm_type), weight

    same_as_eager(Looked(), torch.randn(7, 3), torch.tensor([[1, 2], [2, 5]]))


class DropAll(nn.Module):
    def __init__(self, drop: Any) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(x, 1.0, True)
        z = y + 1
        # The result is new memory, unlike dropout's at inference.
        y[0] = 7
        return x + y + z


@pytest.mark.parametrize("drop", [F.dropout, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout])
def test_dropout_of_everything_is_no_chance(drop: Any) -> None:
    x = torch.randn(2, 3, 4, 5)
    x[1, 0, 0, 0] = torch.inf
    same_as_eager(DropAll(drop), x)


def test_dropout_in_training_is_refused_beside_a_write_that_torch_must_follow() -> None:
    class Dropped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = F.dropout(x, 0.5, True)
            y.movedim(0, 1)[0].zero_()
            return y

    with pytest.raises(ConvertError, match="at random"):
        convert(Dropped(), torch.randn(2, 6))


def _row_of_expanded(x: Tensor) -> Tensor:
    y = x * 1
    y.expand(2, 5)[1] += 2
    return y


def _whole_expanded(x: Tensor) -> Tensor:
    y = x * 1
    y.expand(3, 5).zero_()
    return y + 1


def _unfolded_with_a_rest(x: Tensor) -> Tensor:
    y = x * 1
    y.unfold(0, 2, 2).add_(1)
    return y


@pytest.mark.parametrize("function", [_row_of_expanded, _whole_expanded, _unfolded_with_a_rest])
def test_writes_that_torch_s_functionalisation_gets_wrong_are_refused(function: Any) -> None:
    class Writing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)  # type: ignore[no-any-return]

    with pytest.raises(ConvertError, match="put .clone\\(\\) behind"):
        convert(Writing(), torch.rand(5))
