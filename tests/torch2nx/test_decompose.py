"""Calls without an operator become calls with one, by torch's own definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torch2nx.converter import Torch2GraphConverter
from torch2nx.errors import UnsupportedOp


class Call(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


def ops_of(function: Callable[..., Any], *args: torch.Tensor) -> list[str]:
    graph = Torch2GraphConverter().convert(model=Call(function).eval(), fake_torch_data=list(args))
    return [data["op"] for _, data in graph.nodes(data="data") if data["kind"] == "OpNode"]


def origins_of(function: Callable[..., Any], *args: torch.Tensor) -> set[str]:
    graph = Torch2GraphConverter().convert(model=Call(function).eval(), fake_torch_data=list(args))
    return {d["origin"]["function"] for _, d in graph.nodes(data="data") if d["kind"] == "OpNode"}


def test_a_python_definition() -> None:
    ops = ops_of(lambda x: F.softshrink(x, 0.25), torch.rand(3))
    assert "where" in ops or ops == ["softshrink"]


def test_writes_inside_a_definition_are_functional() -> None:
    # Torch's isclose updates its own temporaries in place.
    assert set(ops_of(torch.isclose, torch.rand(3), torch.rand(3))) <= {
        "eq", "mul", "abs", "add", "sub", "ne", "le", "bitwise_and", "bitwise_or", "isclose",
    }  # fmt: skip


def test_a_tensor_that_the_definition_makes_is_folded() -> None:
    graph = Torch2GraphConverter().convert(model=Call(torch.trace).eval(), fake_torch_data=[torch.rand(3, 3)])
    assert all(d["op"] != "arange" for _, d in graph.nodes(data="data") if d["kind"] == "OpNode")


def test_what_comes_of_a_call_keeps_its_line() -> None:
    def line(x: torch.Tensor) -> torch.Tensor:
        return torch.renorm(x, 2.0, 0, 1.0)

    assert {name.rpartition(".")[2] for name in origins_of(line, torch.rand(3, 4))} == {"line"}


def test_an_operator_with_an_entry_stays_whole() -> None:
    assert ops_of(F.gelu, torch.rand(3)) == ["gelu"]
    assert ops_of(lambda x: F.layer_norm(x, (4,)), torch.rand(3, 4)) == ["layer_norm"]


def test_a_definition_that_ends_in_an_unknown_call_leaves_the_name() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        ops_of(torch.linalg.inv, torch.rand(3, 3))
    assert "aten.linalg_inv" in str(caught.value)


def test_a_random_call_is_not_taken_apart() -> None:
    with pytest.raises(UnsupportedOp, match="random"):
        ops_of(lambda x: x + torch.randn_like(x), torch.rand(3))


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 4)])
def test_every_result_of_a_call_is_found(shape: tuple[int, int]) -> None:
    graph = Torch2GraphConverter().convert(
        model=Call(lambda x: torch.tensor_split(x, 3, dim=1)).eval(), fake_torch_data=[torch.rand(*shape)]
    )
    assert len(graph.graph["outputs"]) == 3


def test_a_definition_of_another_shape_is_not_taken() -> None:
    # Torch's definition gives one element in a row here, where the operator gives a scalar.
    with pytest.raises(UnsupportedOp, match="multilabel_margin_loss"):
        ops_of(F.multilabel_margin_loss, torch.rand(10), torch.randint(10, (10,)))


def test_a_definition_of_other_integers_is_not_taken() -> None:
    with pytest.raises(UnsupportedOp, match="linspace"):
        ops_of(lambda x: torch.linspace(x, 1, 50, dtype=torch.int64), torch.tensor(4.3))
