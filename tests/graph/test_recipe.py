"""Recipes: each step against numpy, refusals, and that a derived parameter's recipe and value agree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import InternalError
from optima.graph import Graph, Tensor, TensorType
from optima.recipe import RecipeError, compose, derived_param, evaluate, frozen, param, sources

RNG = np.random.default_rng(0)
A = RNG.standard_normal((2, 3, 4)).astype("float32")
B = RNG.standard_normal((3, 1)).astype("float32")
PARAMS = {"a": A, "b": B, "half": A.astype("float16"), "bits": np.arange(6, dtype="uint16").reshape(2, 3)}
a, b = param("a"), param("b")


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (a, A),
        (["add", a, b], A + B),
        (["sub", a, b], A - B),
        (["mul", a, b], A * B),
        (["div", a, b], A / B),
        (["rsqrt", ["mul", b, b]], np.float32(1) / np.sqrt(B * B)),
        (["add", a, ["scalar", 1e-5]], A + np.float32(1e-5)),
        (["cast", a, "float64"], A.astype("float64")),
        (
            ["cast", ["add", ["cast", a, "float64"], ["scalar", 0.1]], "float32"],
            (A.astype("f8") + 0.1).astype("f4"),
        ),
        (["reshape", a, [6, -1]], A.reshape(6, 4)),
        (["transpose", a, [2, 0, 1]], A.transpose(2, 0, 1)),
        (["pad", b, [[1, 0], [0, 2]]], np.pad(B, [(1, 0), (0, 2)])),
        (["slice", a, [[0, 2], [1, 3], [4, 4]]], A[:, 1:3, 4:4]),
        (
            ["pad", ["transpose", param("bits"), [1, 0]], [[0, 1], [0, 0]]],
            np.pad(PARAMS["bits"].T, [(0, 1), (0, 0)]),
        ),
        (["mul", param("half"), ["scalar", 2]], PARAMS["half"] * np.float16(2)),
    ],
)
def test_each_step_is_numpys(recipe: Any, expected: np.ndarray) -> None:
    got = evaluate(json.loads(json.dumps(recipe)), PARAMS)
    assert got.dtype == expected.dtype
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (param("c"), "the parameter 'c' is missing"),
        (["sqrt", a], "'sqrt' is not a step"),
        ("a", "'a' is not a step"),
        ([], "is not a step"),
        (frozen("no name"), "a frozen constant has no recipe: no name"),
        (["add", a, ["cast", b, "float64"]], "float32 and float64; both must be one float dtype"),
        (["add", param("bits"), param("bits")], "uint16 and uint16"),
        (["rsqrt", param("bits")], "uint16"),
        (["add", a, param("bits")], "both must be one float dtype"),
        (["reshape", a, [5, 5]], "the step reshape [[5, 5]] does not fit arrays of shape (2, 3, 4)"),
        (["transpose", a, [0, 1]], "the step transpose"),
        (["slice", a, [[0, 2]]], "the step slice"),
        (["slice", a, [[0, 3], [0, 3], [0, 4]]], "takes 0:3 of an axis of 2"),
        (["cast", a, "bfloat16"], "bfloat16"),
        (["cast", a, "float31"], "float31"),
        (["add", a], "the step add"),
        (["param", "a", "b"], "is not a step"),
    ],
)
def test_what_does_not_fit_is_refused(recipe: Any, message: str) -> None:
    from devices import OptimaError

    with pytest.raises(OptimaError) as caught:
        evaluate(recipe, PARAMS)
    assert message in str(caught.value)


def test_sources_are_listed_once_in_order() -> None:
    assert sources(["add", ["mul", b, a], ["reshape", b, [3]]]) == ("b", "a")


def _graph() -> Graph:
    type_ = TensorType((2, 3), "float32")
    value = np.arange(6, dtype="float32").reshape(2, 3)
    tensors = {
        "t0": Tensor("t0", type_, is_param=True, value=value, source="conv.weight"),
        "t1": Tensor(
            "t1",
            type_,
            is_param=True,
            value=value + 1,
            source="x",
            recipe=["add", param("y"), ["scalar", 1.0]],
        ),
        "t2": Tensor("t2", type_, is_param=True, value=value + 2, recipe=frozen("folded: mul_3")),
        "t3": Tensor("t3", type_, is_param=True, value=value + 2),
        "t4": Tensor("t4", type_, is_param=True, source="abstract"),
        "t5": Tensor("t5", type_),
    }
    return Graph("g", (), tensors, (), ())


def test_a_derived_parameter_is_composed_of_pytorch_names() -> None:
    graph, type_ = _graph(), TensorType((3, 2), "float32")
    made = derived_param(graph, "p", ["transpose", ["add", param("t0"), param("t1")], [1, 0]], type_)
    assert made.recipe == [
        "transpose",
        ["add", param("conv.weight"), ["add", param("y"), ["scalar", 1.0]]],
        [1, 0],
    ]
    value = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(evaluate(made.recipe, {"conv.weight": value, "y": value}), made.value)


@pytest.mark.parametrize(("source", "reason"), [("t2", "folded: mul_3"), ("t3", "t3 has no name in the module")])
def test_what_is_made_of_something_frozen_is_frozen(source: str, reason: str) -> None:
    graph = _graph()
    recipe = ["add", param("t0"), param(source)]
    made = derived_param(graph, "p", recipe, TensorType((2, 3), "float32"))
    assert made.recipe == frozen(reason)
    np.testing.assert_array_equal(made.value, graph.tensors["t0"].value + graph.tensors[source].value)


def test_without_values_only_the_recipe_is_made() -> None:
    made = derived_param(_graph(), "p", ["add", param("t0"), param("t4")], TensorType((2, 3), "float32"))
    assert made.value is None
    assert made.recipe == ["add", param("conv.weight"), param("abstract")]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (param("t5"), "no parameter"),
        (param("none"), "no parameter"),
        (["transpose", param("t0"), [1, 0]], "makes float32[3, 2], not float32[2, 3]"),
        (["cast", param("t0"), "float64"], "makes float64[2, 3], not float32[2, 3]"),
    ],
)
def test_a_pass_that_states_the_wrong_type_is_caught(recipe: Any, message: str) -> None:
    with pytest.raises(InternalError) as caught:
        derived_param(_graph(), "p", recipe, TensorType((2, 3), "float32"))
    assert message in str(caught.value)


@given(st.permutations(range(3)), st.integers(0, 2), st.integers(0, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_packing_keeps_every_element(axes: list[int], low: int, high: int) -> None:
    recipe = ["pad", ["transpose", a, list(axes)], [[low, high]] * 3]
    packed = evaluate(recipe, PARAMS)
    inner = [[low, low + A.shape[axis]] for axis in axes]
    np.testing.assert_array_equal(evaluate(["slice", param("p"), inner], {"p": packed}), A.transpose(axes))
    assert np.count_nonzero(packed) == np.count_nonzero(A)


def test_compose_leaves_other_steps_alone() -> None:
    tensors = {"t": Tensor("t", TensorType((2,), "float32"), is_param=True, source="s")}
    assert compose(["pad", param("t"), [[0, 1]]], tensors) == ["pad", param("s"), [[0, 1]]]


def test_a_refusal_of_recipes_is_a_user_error() -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(param("fc.weight"), {})
    assert caught.value.hint == "give 'fc.weight' its array"
