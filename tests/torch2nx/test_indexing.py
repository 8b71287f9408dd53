"""Writing by index, strided views and bags of rows: the op each becomes, eager's numbers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.torch2nx.compare import convert, only_op, ops, same_as_eager
from tests.torch2nx.test_aten import Call, normal
from torch2nx.errors import UnsupportedOp

X = normal(4, 6)
ROWS = torch.tensor([2, 0])
PLACES = torch.tensor([[0, 1, 3], [2, 2, 0]])

#: the ops expected -> (function, inputs)
CASES: list[tuple[list[str], Callable[..., Any], tuple[Tensor, ...]]] = [
    (["scatter"], lambda x, i, s: x.scatter(0, i, s), (X, PLACES, normal(2, 3))),
    (["scatter"], lambda x, i: x.scatter(0, i, 2.5), (X, PLACES)),
    (["scatter"], lambda x, i: x.scatter(0, i, 2.5, reduce="multiply"), (X, PLACES)),
    (["scatter_add"], lambda x, i, s: x.scatter_add(0, i, s), (X, PLACES, normal(2, 3))),
    (["scatter_reduce"], lambda x, i, s: x.scatter_reduce(0, i, s, "mean"), (X, PLACES, normal(2, 3))),
    (["index_add"], lambda x, i, s: x.index_add(0, i, s, alpha=2), (X, ROWS, normal(2, 6))),
    (["index_copy"], lambda x, i, s: x.index_copy(0, i, s), (X, ROWS, normal(2, 6))),
    (["index_fill"], lambda x, i: x.index_fill(1, i, -1.0), (X, ROWS)),
    (["index_fill"], lambda x, i, v: x.index_fill(1, i, v), (X, ROWS, torch.tensor(3.0))),
    (["index_reduce"], lambda x, i, s: x.index_reduce(0, i, s, "amax"), (X, ROWS, normal(2, 6))),
    (["index_put"], lambda x, i, v: x.index_put((i,), v), (X, ROWS, normal(6))),
    (["index_put"], lambda x, i, v: torch.ops.aten.index_put(x, [None, i], v, True), (X, ROWS, normal(4, 2))),
    (["put"], lambda x, i, v: x.put(i, v, accumulate=True), (X, ROWS, normal(2))),
    (["take"], lambda x, i: x.take(i), (X, torch.tensor([-1, 3]))),
    (["take_along_dim"], lambda x, i: x.take_along_dim(i, 0), (X, torch.tensor([[1], [0]]))),
    (["masked_scatter"], lambda x, m, s: x.masked_scatter(m, s), (X, X > 0, normal(24))),
    (["diagonal_scatter"], lambda x, s: x.diagonal_scatter(s, 1), (X, normal(4))),
    (["im2col"], lambda x: F.unfold(x, 3, padding=1, stride=2), (normal(2, 3, 7, 7),)),
    (["col2im"], lambda x: F.fold(x, (4, 5), 2), (normal(1, 8, 12),)),
    (
        ["max_unpool2d"],
        lambda x, i: F.max_unpool2d(x, i, [2, 2]),
        (normal(1, 1, 2, 2), torch.tensor([[[[0, 3], [9, 14]]]])),
    ),
    (["as_strided"], lambda x: x.as_strided((3, 2), (1, 6), 2), (X,)),
    (["as_strided"], lambda x: torch.as_strided_copy(x, (3, 2), (1, 6), 2), (X,)),
    (["as_strided_scatter"], lambda x, s: x.as_strided_scatter(s, (3, 2), (1, 6), 2), (X, normal(3, 2))),
]


@pytest.mark.parametrize(("expected", "function", "inputs"), CASES, ids=[f"{i}-{c[0][0]}" for i, c in enumerate(CASES)])
def test_overload(expected: list[str], function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    assert ops(same_as_eager(Call(function), *inputs)) == expected


def test_a_mask_with_one_value_is_one_op() -> None:
    def function(x: Tensor) -> Tensor:
        y = x.clone()
        y[x > 0] = 0.5
        return y

    assert "index_put" in ops(same_as_eager(Call(function), X))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_of_rows_keeps_only_its_first_result(mode: str) -> None:
    layer = torch.nn.EmbeddingBag(10, 4, mode=mode, padding_idx=3)
    data = only_op(same_as_eager(layer, torch.tensor([1, 3, 3, 5]), torch.tensor([0, 2])), "embedding_bag")
    assert data["attrs"]["padding_idx"] == 3
    assert len(data["outputs"]) == 1


def test_an_offset_into_memory_becomes_one_into_the_operand() -> None:
    """The operand starts at the sixth element of its memory, and torch counts from the memory's start."""
    graph = same_as_eager(Call(lambda x: x.as_strided((3, 2), (2, 1), 8)), normal(24)[6:18])
    assert only_op(graph, "as_strided")["attrs"]["storage_offset"] == 2


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.t().as_strided((3, 2), (1, 2)), "row-major"),
        (lambda x: x[1:].as_strided((4, 6), (6, 1), 0), "outside"),
        (lambda x: x[:2].as_strided((4, 6), (6, 1)), "outside"),
        (lambda x: x.t().as_strided_scatter(x[:2, :3], (2, 3), (1, 2)), "row-major"),
        (lambda x: x.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last).as_strided((24,), (1,)), "it reads"),
    ],
)
def test_strides_that_name_other_memory_are_refused(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(UnsupportedOp) as caught:
        convert(Call(function), X)
    assert any(reason in p.reason for p in caught.value.problems), str(caught.value)


def test_the_bookkeeping_of_a_bag_is_refused() -> None:
    def function(w: Tensor, i: Tensor, o: Tensor) -> Tensor:
        return torch.embedding_bag(w, i, o)[2]

    with pytest.raises(UnsupportedOp, match="embedding_bag"):
        convert(Call(function), X, ROWS, torch.tensor([0]))
