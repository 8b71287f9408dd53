"""Nested arguments and results: names, order, values, and taking calls apart without torch."""

from __future__ import annotations

import collections
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.torch2nx.compare import convert, same_as_eager
from torch2nx import pytree
from torch2nx.errors import ArgumentsError, ConvertError

Pair = collections.namedtuple("Pair", ["first", "second"])  # noqa: PYI024


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(2))

    def forward(
        self, x: Tensor, pair: dict[str, Any], *more: Tensor, scale: Tensor | None = None, flag: bool = True
    ) -> dict[str, Any]:
        y = x + pair["left"][0]
        if scale is not None:
            y = y * scale
        for m in more:
            y = y - m
        return {
            "y": y,
            "again": (y, None, 3, "text"),
            "input": x,
            "param": self.w,
            "list": [y + 1, flag],
            "last": Pair(y, x * 2),
        }


def test_nested_arguments_and_results() -> None:
    torch.manual_seed(0)
    t = [torch.randn(2) for _ in range(5)]
    graph = same_as_eager(Nested(), t[0], {"left": [t[1], t[2]]}, t[3], scale=t[4])
    names = [graph.nodes[n]["data"]["argument"] for n in graph.graph["inputs"]]
    assert names == ["x", "pair.left.0", "pair.left.1", "more.0", "scale"]
    outputs = graph.graph["outputs"]
    assert outputs[0] == outputs[1] and outputs[2] == graph.graph["inputs"][0]
    param = graph.nodes[outputs[3]]["data"]
    assert (param["kind"], param["source"]) == ("ParamTensorNode", "w")


def test_keywords_are_numbered_in_signature_order() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, *, b: Tensor, a: Tensor, unused: Tensor) -> Tensor:
            return x + a - b

    t = [torch.randn(2) for _ in range(4)]
    graph = same_as_eager(Two(), t[0], unused=t[3], a=t[1], b=t[2])
    names = [graph.nodes[n]["data"]["argument"] for n in graph.graph["inputs"]]
    assert names == ["x", "b", "a", "unused"]
    assert graph.graph["inputs"] == [f"tensor_{i}" for i in range(4)]


def test_a_positional_argument_given_by_name() -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None, z: Tensor | None = None) -> Tensor:
            return x - z if y is None and z is not None else x

    graph = same_as_eager(Three(), torch.randn(2), z=torch.randn(2))
    assert [graph.nodes[n]["data"]["argument"] for n in graph.graph["inputs"]] == ["x", "z"]


def test_a_value_that_is_an_argument_is_fixed() -> None:
    class Repeat(nn.Module):
        def forward(self, x: Tensor, times: int, how: str = "sum") -> Tensor:
            return x * times if how == "sum" else x

    graph = same_as_eager(Repeat(), torch.randn(2), 3)
    with pytest.raises(ArgumentsError) as caught:
        pytree.flatten_inputs(graph.graph["in_tree"], (1, 4))
    assert caught.value.problems[0].reason == "the model was traced with 3, not with 4"


def test_a_value_other_than_the_default_cannot_be_left_out() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, *, mask: Tensor | None = None, scale: float = 1.0) -> Tensor:
            return x * scale if mask is None else x * mask * scale

    x = torch.randn(2)
    fixed = convert(Scaled(), x, mask=None, scale=0.5).graph["in_tree"]
    with pytest.raises(ArgumentsError, match="scale.*0.5"):
        pytree.flatten_inputs(fixed, (x,))
    assert pytree.flatten_inputs(fixed, (x,), {"scale": 0.5}) == [x]
    default = convert(Scaled(), x, mask=None, scale=1.0).graph["in_tree"]
    assert pytree.flatten_inputs(default, (x,)) == [x]
    with pytest.raises(ArgumentsError, match="traced with 1.0"):
        pytree.flatten_inputs(default, (x,), {"scale": 0.5})


def in_tree() -> str:
    text: str = convert(
        Nested(), torch.randn(2), {"left": [torch.randn(2), torch.randn(2)]}, scale=torch.randn(2)
    ).graph["in_tree"]
    return text


def test_flatten_takes_what_the_module_takes() -> None:
    tree = in_tree()
    arrays = [object() for _ in range(4)]
    by_position = pytree.flatten_inputs(tree, (arrays[0], {"left": [arrays[1], arrays[2]]}), {"scale": arrays[3]})
    by_name = pytree.flatten_inputs(
        tree, (), {"scale": arrays[3], "pair": {"left": (arrays[1], arrays[2])}, "x": arrays[0]}
    )
    assert by_position == by_name == arrays


def test_every_misfit_is_listed() -> None:
    with pytest.raises(ArgumentsError) as caught:
        pytree.flatten_inputs(in_tree(), (1, {"left": [1]}), {"sclae": 1})
    assert [(p.subject, p.reason) for p in caught.value.problems] == [
        ("pair.left", "2 members are expected, not 1"),
        ("scale", "missing"),
        ("sclae", "no argument of this name"),
    ]
    assert "x, pair, scale" in caught.value.hint
    with pytest.raises(ArgumentsError, match="do not fit"):
        pytree.flatten_inputs(in_tree(), (1, {"right": [1, 2]}, 3), {"scale": None, "x": 3})


def test_a_named_result_of_torch_keeps_its_names() -> None:
    class Top(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return torch.max(x, 0)

    tree = convert(Top(), torch.randn(2, 2)).graph["out_tree"]
    result = pytree.unflatten_outputs(tree, ["v", "i"])
    assert (result.values, result.indices) == ("v", "i")


def test_an_output_without_names_is_refused() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return {x.shape: x + 1}

    with pytest.raises(ConvertError):
        convert(Odd(), torch.randn(2))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"leaf": -1}', '{"leaf": 1}', '{"tuple": 3}', '{"dict": [[1]]}'])
def test_a_broken_out_tree_is_a_typed_error(text: str) -> None:
    with pytest.raises(ArgumentsError):
        pytree.count_outputs(text)


def test_nothing_here_imports_torch() -> None:
    code = (
        "import sys; from torch2nx import pytree, gpickle, schema, plot, converter; "
        "assert 'torch' not in sys.modules and 'pygraphviz' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
