"""The verifier: every kind of violation is found, all at once, and nothing makes it raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optima.graph import Graph, Op, Symbol, Tensor, TensorType
from optima.graph_text import parse
from optima.graph_verify import problems_of
from tests.graph.random_graphs import graphs
from torch2nx.errors import GraphError

SOUND = """
graph g(%x: f32[2,3,4,4]) -> (%y, %x)
  %w = param "w" : f32[5,3,1,1]
  %c = conv2d_1: conv2d(%x, %w) : f32[2,5,4,4] # net.py:3 in forward
  %y = cat_2: cat(%c, %c) {dim=1} : f32[2,10,4,4] # net.py:4 in forward
"""


def test_a_sound_graph_has_no_problem() -> None:
    graph = parse(SOUND, {"w": np.zeros((5, 3, 1, 1), "float32")})
    assert problems_of(graph) == []
    assert graph.verify() is graph


TEXTS = [
    ("cat(%c, %c)", "cat(%c, %q)", "its operand 'q' is not in the tensor table"),
    ("conv2d(%x, %w)", "conv2d(%y, %w)", "its operand 'y' is computed later, by cat_2"),
    ("conv2d(%x, %w)", "conv2d(%y, %w)", "a cycle: conv2d_1 -> cat_2 -> conv2d_1"),
    ("conv2d(%x, %w)", "conv2d(%c, %w)", "a cycle: conv2d_1 -> conv2d_1"),
    ("%y = cat_2", "%y = conv2d_1", "another op has the same name"),
    (
        "conv2d(%x, %w)",
        "convv2d(input=%x, weight=%w)",
        "there is no operator 'convv2d'; did you mean 'conv2d'?",
    ),
    ("conv2d(%x, %w)", "conv2d(%x)", "the operand 'weight' of conv2d is missing"),
    (
        "conv2d(%x, %w)",
        "conv2d(%x, %w, beta=%w)",
        "conv2d has no operand 'beta' (it has input, weight, bias?)",
    ),
    ("conv2d(%x, %w)", "conv2d(%x, %w, weight=%w)", "the operand 'weight' is given twice"),
    ("cat(%c, %c)", "cat(tensors=%c)", "cat has no operand 'tensors'"),
    ("cat(%c, %c)", "cat(tensors.a=%c)", "cat has no operand 'tensors.a'"),
    ("{dim=1}", "{dim=1, axis=2}", "cat has no attribute 'axis' (it has dim)"),
    ("cat(%c, %c) {dim=1}", "reshape(%c)", "the attribute 'shape' of reshape is missing"),
    ("f32[2,10,4,4]", "f32[2,10,4,5]", "its output 'y' is f32[2,10,4,5], but cat gives f32[2,10,4,4]"),
    ("f32[2,10,4,4]", "i64[2,10,4,4]", "its output 'y' is i64[2,10,4,4], but cat gives f32"),
    ("{dim=1}", "{dim=7}", "cat does not take these operands: "),
    ("(%y, %x)", "(%y, %z)", "an output of the graph that nothing computes"),
    ("f32[5,3,1,1]", "f32[5,-3,1,1]", "is not a shape"),
]


@pytest.mark.parametrize(("old", "new", "reason"), TEXTS, ids=[t[2][:40] for t in TEXTS])
def test_a_violation_is_found(old: str, new: str, reason: str) -> None:
    found = [p.reason for p in problems_of(parse(SOUND.replace(old, new)))]
    assert any(reason in r for r in found), found


def _with(tensor: Tensor) -> Callable[[Graph], Graph]:
    return lambda g: replace(g, tensors={**g.tensors, tensor.name: tensor})


def _symbol(**changes: Any) -> Callable[[Graph], Graph]:
    """The sound graph with a symbol for the channels of ``y``, sound but for ``changes``."""
    sound = Symbol("n0", 0, 10, "n", (("y", 1),))
    count = Tensor("n", TensorType((), "int64"), is_param=True)
    return lambda g: replace(g, tensors={**g.tensors, "n": count}, symbols=(replace(sound, **changes),))


def test_a_sound_symbol_is_no_problem() -> None:
    assert problems_of(_symbol()(parse(SOUND))) == []


F = TensorType((5, 3, 1, 1), "float32")
CHANGES = [
    (
        lambda g: replace(g, ops=(g.ops[0], replace(g.ops[1], outputs=("c",)))),
        "'c' is already defined by conv2d_1",
    ),
    (
        lambda g: replace(g, ops=(g.ops[0], replace(g.ops[1], outputs=("x",)))),
        "'x' is already defined as an input",
    ),
    (_with(Tensor("w", F, is_param=True, value=np.zeros((5, 3), "float32"))), "its value is float32[5, 3]"),
    (_with(Tensor("w", F, is_param=True, value=np.zeros(F.shape, "float64"))), "its value is float64"),
    (_with(Tensor("w", F, is_param=True, value=[1.0])), "its value is a list"),  # type: ignore[arg-type]
    (_with(Tensor("w", TensorType((1,), "float31"), is_param=True)), "'float31' is not a dtype"),
    (_with(Tensor("w", TensorType((1.5,), "float32"))), "is not a shape"),  # type: ignore[arg-type]
    (_with(Tensor("w", F)), "neither an input, a parameter, nor the output of an op"),
    (
        _with(Tensor("x", TensorType((2, 3, 4, 4), "float32"), is_param=True)),
        "an input that is a parameter too",
    ),
    (
        lambda g: replace(g, tensors={**g.tensors, "w": replace(g.tensors["w"], name="v")}),
        "holds a tensor named 'v'",
    ),
    (_symbol(count="gone"), "its count 'gone' is no int64 scalar"),
    (_symbol(count="y"), "its count 'y' is no int64 scalar"),
    (_symbol(max=9), "no axis of an output of size 9"),
    (_symbol(min=11), "it goes from 11 to 10"),
    (_symbol(axes=(("y", 4),)), "axis 4 of 'y' is no axis"),
    (_symbol(axes=(("c", 1),)), "axis 1 of 'c' is no axis of an output"),
    (_symbol(axes=(("y", 1), ("y", 1))), "has two symbols"),
    (lambda g: replace(g, inputs=("x", "x")), "an input that is listed twice"),
    (lambda g: replace(g, inputs=("x", "nothing")), "an input that is not in the tensor table"),
    (
        lambda g: replace(g, tensors={k: t for k, t in g.tensors.items() if k != "y"}),
        "its output 'y' is not in",
    ),
    (lambda g: replace(g, ops=(replace(g.ops[0], roles=("input",)), g.ops[1])), "2 operands but 1 roles"),
    (lambda g: replace(g, ops=(replace(g.ops[0], outputs=()), g.ops[1])), "it has no output"),
    (
        lambda g: replace(g, ops=(g.ops[0], replace(g.ops[1], attrs={"dim": {1}}))),
        "attribute 'dim': an attribute",
    ),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[c[1][:40] for c in CHANGES])
def test_a_violation_that_text_cannot_hold_is_found(change: Callable[[Graph], Graph], reason: str) -> None:
    found = [p.reason for p in problems_of(change(parse(SOUND)))]
    assert any(reason in r for r in found), found


def test_all_problems_come_at_once_with_their_lines() -> None:
    text = SOUND.replace("conv2d(%x, %w)", "conv2d(%x, %missing)").replace("{dim=1}", "{dim=1, axis=2}")
    with pytest.raises(GraphError) as caught:
        parse(text).verify()
    assert [(p.subject, p.where) for p in caught.value.problems] == [
        ("conv2d_1", "net.py:3 in forward"),
        ("cat_2", "net.py:4 in forward"),
    ]


def test_types_are_left_out_on_demand() -> None:
    graph = parse(SOUND.replace("f32[2,10,4,4]", "f32[9]"))
    assert problems_of(graph, types=False) == []
    assert len(problems_of(graph)) == 1


@given(graphs(), st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_nothing_makes_it_raise(graph: Graph, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(0, 3))):
        if not graph.ops:
            break
        at = data.draw(st.integers(0, len(graph.ops) - 1))
        ops = list(graph.ops)
        ops[at] = data.draw(st.sampled_from(list(_mutants(ops[at]))))
        graph = replace(graph, ops=tuple(ops))
    found = problems_of(graph)
    assert all(p.reason for p in found)
    assert found == problems_of(graph)


def _mutants(op: Op) -> tuple[Op, ...]:
    return (
        replace(op, inputs=op.outputs, roles=("self",)),
        replace(op, inputs=("gone",)),
        replace(op, outputs=("gone", "gone")),
        replace(op, op="reshape", roles=("self",), attrs={"shape": ("a", None)}),
        replace(op, op="reshape", roles=("self",), attrs={"shape": {"a": 1}}),
        replace(op, op="cat", roles=tuple(f"tensors.{i}" for i in range(len(op.inputs))), attrs={"dim": 2**70}),
        replace(op, op="add", roles=("self", "other")[: len(op.inputs)], attrs={"alpha": "x"}),
    )
