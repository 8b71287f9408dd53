"""The rules over dense tensors, the generic schedule, and the ways out when a rule does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from optima.graph import Graph
from optima.kernels import schedule as schedules
from optima.kernels.lower import lower
from optima.kernels.schedule.structure import NotApplicable
from tests.kernels.harness import TARGETS, chain, check, one_op, random_inputs, run_kernel, target_named

_PAIR = ("self", "other")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((128, 64), (64, 96)),
        ((50, 64), (64, 50)),
        ((3, 17, 5), (3, 5, 33)),
        ((2, 3, 7, 16), (2, 3, 16, 7)),
        ((197, 24), (24, 16)),
    ],
    ids=str,
)
def test_matrix_product(left: tuple[int, ...], right: tuple[int, ...], name: str, caplog: Any) -> None:
    check(one_op("matmul", {"self": left, "other": right}), target_named(name), caplog)


def test_product_with_a_transposed_right_side(caplog: Any) -> None:
    shapes = {"input": (37, 48), "weight": (40, 48), "bias": (40,)}
    check(one_op("linear", shapes), target_named(""), caplog)


@pytest.mark.parametrize("size", [8, 50, 64])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(size: int, causal: bool) -> None:
    from optima.ops.reference import run_graph

    graph = one_op(
        "scaled_dot_product_attention",
        dict.fromkeys(("query", "key", "value"), (1, 3, size, 16)),
        {"dropout_p": 0.0, "is_causal": causal, "scale": None, "enable_gqa": False},
    )
    inputs = random_inputs(graph)
    got, wanted = run_kernel(graph, inputs, target_named("")), run_graph(graph, inputs)
    assert abs(got["out"] - wanted["out"]).max() < 1e-5


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("length", [1, 7, 64, 768])
def test_softmax(length: int, name: str, caplog: Any) -> None:
    check(one_op("softmax", {"self": (3, 5, length)}, {"dim": -1}), target_named(name), caplog)


@pytest.mark.parametrize("length", [7, 64, 768])
def test_layer_norm(length: int, caplog: Any) -> None:
    shapes = {"input": (4, 6, length), "weight": (length,), "bias": (length,)}
    attrs = {"normalized_shape": (length,), "eps": 1e-5}
    check(one_op("layer_norm", shapes, attrs), target_named(""), caplog)


@pytest.mark.parametrize(
    ("x", "weight", "attrs"),
    [
        ((1, 6, 15, 15), (9, 2, 3, 3), {"groups": 3, "padding": (1, 1)}),
        ((2, 3, 9, 33), (5, 3, 3, 3), {"stride": (2, 2)}),
        ((1, 8, 16, 64), (12, 8, 1, 1), {}),
    ],
    ids=str,
)
def test_dense_convolution(x: tuple[int, ...], weight: tuple[int, ...], attrs: dict[str, Any], caplog: Any) -> None:
    shapes = {"input": x, "weight": weight, "bias": (weight[0],)}
    check(one_op("conv2d", shapes, attrs), target_named(""), caplog)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("shape", "dim"), [((1, 16), 0), ((2, 32), 0), ((1, 17, 16, 16), 1), ((9, 40, 128), 1)], ids=str
)
def test_fold_of_an_outer_axis(shape: tuple[int, ...], dim: int, name: str, caplog: Any) -> None:
    """One vector per row leaves loops of one iteration, and an axis of size 1 is folded, too."""
    check(one_op("softmax", {"self": shape}, {"dim": dim}), target_named(name), caplog)
    check(one_op("amax", {"self": shape}, {"dim": (dim,)}), target_named(name), caplog)


@pytest.mark.parametrize("shape", [(1, 32, 1, 32), (1, 4, 1, 64), (2, 3, 5, 32), (3, 2, 64, 1)], ids=str)
def test_fold_of_two_axes_one_of_size_1(shape: tuple[int, ...], caplog: Any) -> None:
    check(one_op("mean", {"self": shape}, {"dim": (2, 3), "keepdim": True}), target_named(""), caplog)


def test_an_index_read_from_a_tensor_does_not_stop_the_generic_schedule(caplog: Any) -> None:
    group = Graph.parse("""
graph g(%x: f32[2,24,1], %i: i64[2]) -> (%y)
  %y = index_select_0: index_select(%x, %i) {dim=0} : f32[2,24,1]
""")
    lower(group, target_named(""))
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("shape", [(), (1,), (5,), (64,), (33, 3), (16, 1024), (2, 3, 5, 7)], ids=str)
def test_elementwise_chain(shape: tuple[int, ...], caplog: Any) -> None:
    group = chain(
        [
            ("add", "a", (("self", "x"), ("other", "y")), {}),
            ("relu", "b", (("self", "a"),), {}),
            ("mul", "out", (("self", "b"), ("other", "y")), {}),
        ],
        {"x": shape, "y": shape},
        ["out"],
    )
    check(group, target_named(""), caplog)


def test_broadcasting_is_not_flattened(caplog: Any) -> None:
    check(one_op("add", {"self": (4, 1, 16), "other": (3, 1)}), target_named(""), caplog)


def test_an_output_that_is_an_input_is_copied(caplog: Any) -> None:
    group = chain([("relu", "y", (("self", "x"),), {})], {"x": (4, 4)}, ["y", "y"])
    inputs = random_inputs(group)
    assert (run_kernel(group, inputs, target_named(""))["y"] == inputs["x"].clip(0)).all()


@pytest.mark.parametrize("failure", [NotApplicable("no"), RuntimeError("a primitive refused")])
def test_a_rule_that_fails_costs_speed_only(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> set[str]:
        raise failure

    monkeypatch.setattr(schedules, "apply_rule", refuse)
    graph = one_op("matmul", {"self": (17, 33), "other": (33, 20)})
    inputs = random_inputs(graph)
    got = run_kernel(graph, inputs, target_named(""))["out"]
    assert abs(got - inputs["self"] @ inputs["other"]).max() < 1e-4


def test_a_failing_generic_schedule_leaves_the_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> set[str]:
        raise RuntimeError("a primitive refused")

    monkeypatch.setattr(schedules.generic, "apply", refuse)
    graph = one_op("add", {"self": (5, 7), "other": (7,)})
    inputs = random_inputs(graph)
    got = run_kernel(graph, inputs, target_named(""))["out"]
    assert abs(got - (inputs["self"] + inputs["other"])).max() < 1e-6
