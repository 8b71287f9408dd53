"""Golden cases of a pass: ``golden/<pass>.txt`` holds, per case, a name, a graph, and what becomes of it.

    === conv then batch_norm
    graph g(%x: ...) -> (%y)
      ...
    --->
    graph g(%x: ...) -> (%y)
      ...

Parameters get seeded values, and besides the text each case is checked against the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from optima.graph import Graph, Tensor
from optima.graph_text import dump, parse
from optima.graph_verify import problems_of
from optima.ops.reference import run_graph
from optima.passes.origins import lost_origins

FOLDER = Path(__file__).parent / "golden"


def read_cases(name: str) -> dict[str, tuple[str, str]]:
    """Case name -> (text before, text after)."""
    cases: dict[str, tuple[str, str]] = {}
    for block in (FOLDER / f"{name}.txt").read_text().split("=== ")[1:]:
        title, _, body = block.partition("\n")
        before, _, after = body.partition("--->\n")
        cases[title.strip()] = (before.strip() + "\n", after.strip() + "\n")
    return cases


def write_after(name: str, case: str, after: str) -> None:
    """Replace the expected half of one case."""
    cases = read_cases(name) | {case: (read_cases(name)[case][0], after)}
    blocks = [f"=== {title}\n{old.strip()}\n--->\n{new.strip()}\n" for title, (old, new) in cases.items()]
    (FOLDER / f"{name}.txt").write_text("\n".join(blocks))


def with_values(graph: Graph, seed: int = 0) -> Graph:
    """The graph with a seeded value for each parameter; variances are positive, indices small."""
    variances = {op.operand("running_var") for op in graph.ops}
    rng = np.random.default_rng(seed)
    return parse(dump(graph), {t.name: _value(rng, t, t.name in variances) for t in graph.params})


def inputs_of(graph: Graph, seed: int = 1) -> dict[str, np.ndarray]:
    """Seeded inputs by name."""
    rng = np.random.default_rng(seed)
    return {n: _value(rng, graph.tensors[n], False) for n in graph.inputs}


def _value(rng: np.random.Generator, tensor: Tensor, positive: bool) -> np.ndarray:
    if tensor.dtype.startswith(("int", "uint", "bool")):
        return rng.integers(0, 2, tensor.shape).astype(tensor.dtype)
    drawn = rng.uniform(0.05, 3.0, tensor.shape) if positive else rng.standard_normal(tensor.shape)
    if tensor.dtype == "bfloat16":
        return (np.asarray(drawn, "float32").view("uint32") >> 16).astype("uint16").reshape(tensor.shape)
    return np.asarray(drawn, tensor.dtype)


def check_same_answer(before: Graph, after: Graph, tolerance: float) -> None:
    """Both graphs verify, have one signature, and give the same outputs within ``tolerance``."""
    assert problems_of(before) == []
    assert problems_of(after) == []
    assert (before.inputs, before.outputs) == (after.inputs, after.outputs)
    inputs = inputs_of(before)
    want, got = run_graph(before, inputs), run_graph(after, inputs)
    for name in before.outputs:
        assert want[name].shape == got[name].shape
        assert want[name].dtype == got[name].dtype
        if tolerance == 0:
            np.testing.assert_array_equal(got[name], want[name], err_msg=name)
        else:
            scale = float(np.max(np.abs(want[name]), initial=0.0, where=np.isfinite(want[name]))) or 1.0
            np.testing.assert_allclose(got[name], want[name], rtol=0, atol=tolerance * scale, err_msg=name)


def check_golden(
    name: str, case: str, run: Callable[[Graph], Graph], tolerance: float, update: bool, loses: bool = False
) -> tuple[Graph, Graph]:
    """Run one case; returns the graphs before and after."""
    before_text, expected = read_cases(name)[case]
    before = with_values(parse(before_text))
    after = run(before)
    check_same_answer(before, after, tolerance)
    assert loses or lost_origins(before, after) == ()
    text = dump(after)
    if update:
        write_after(name, case, text)
    else:
        assert text == expected
    return before, after
