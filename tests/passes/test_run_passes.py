"""The whole pipeline on random graphs: the same answers, sound groups; and what a broken pass is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import optima.passes as passes
from devices import InternalError
from optima.graph import Graph, TensorType
from optima.graph_text import dump, parse
from optima.ops.reference import run_graph
from optima.passes import PASSES, Pass, PassContext, groups_of, run_passes
from tests.passes.golden import check_same_answer, inputs_of, with_values
from tests.passes.random_models import models
from torch2nx.errors import GraphError

SMALL = """
graph g(%x: f32[2,3]) -> (%y)
  %a = relu_0: relu(%x) : f32[2,3] # net.py:1 in forward
  %y = neg_1: neg(%a) : f32[2,3] # net.py:2 in forward
"""


@given(models())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_random_graphs_keep_their_answers(graph: Graph) -> None:
    graph = with_values(graph)
    after = run_passes(graph, PassContext(8))
    check_same_answer(graph, after, 1e-4)
    check_groups(after)
    assert dump(run_passes(graph, PassContext(8))) == dump(after)


def check_groups(graph: Graph) -> None:
    """Each kernel, run by itself in the order given, finds its inputs and gives what the graph gives."""
    known = dict(inputs_of(graph))
    watched: dict[str, np.ndarray] = {}
    run_graph(graph, known, watch=lambda op, results: watched.update(
        {name: r.numpy().copy() for name, r in zip(op.outputs, results, strict=True)}))  # fmt: skip
    for kernel, ops in groups_of(graph):
        part = graph.extract(kernel or "alias", ops)
        assert len(part.outputs) == 1 or len(ops) == 1
        assert len(part.inputs) + len(part.params) <= 12 or len(ops) == 1
        known |= run_graph(part, {name: known[name] for name in part.inputs})
        for name in part.outputs:
            # torch sums in another order where an operand is a strided view
            np.testing.assert_allclose(known[name], watched[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_every_pass_is_reported_once_in_order() -> None:
    seen: list[str] = []
    run_passes(parse(SMALL), PassContext(16), lambda name, before, after, seconds: seen.append(name))
    assert seen == [p.name for p in PASSES]
    assert seen[-1] == "fuse_epilogues"


def test_a_graph_that_breaks_its_rules_is_refused_before_the_first_pass() -> None:
    with pytest.raises(GraphError, match="breaks 1 of its rules"):
        run_passes(parse(SMALL.replace("relu(%x)", "relu(%nothing)")), PassContext(16))


def _raises(graph: Graph, context: PassContext) -> Graph:
    raise ZeroDivisionError("by design")


def _renames_output(graph: Graph, context: PassContext) -> Graph:
    ops = [replace(op, outputs=("q",)) if op.outputs == ("y",) else op for op in graph.ops]
    return graph.rebuild(ops, [replace(graph.tensors["y"], name="q")], outputs=["q"])


def _forgets_origin(graph: Graph, context: PassContext) -> Graph:
    return graph.rebuild([replace(op, origins=()) for op in graph.ops])


def _lies_about_a_type(graph: Graph, context: PassContext) -> Graph:
    return graph.rebuild(graph.ops, [replace(graph.tensors["a"], type=TensorType((3, 2), "float32"))])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_raises, "ZeroDivisionError: by design"),
        (_renames_output, "its outputs were y; now q"),
        (_forgets_origin, "net.py:1 in forward"),
        (_lies_about_a_type, "but relu gives f32[2,3]"),
    ],
)
def test_a_broken_pass_is_named_with_those_before_it(
    function: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Pass("break_things", function, 0.0)  # type: ignore[arg-type]
    monkeypatch.setattr(passes, "PASSES", (*PASSES[:2], broken))
    with pytest.raises(InternalError) as caught:
        run_passes(parse(SMALL), PassContext(16))
    text = str(caught.value)
    assert "the pass break_things failed (after split_to_slices, skip_empty)" in text
    assert reason in text
