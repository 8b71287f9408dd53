"""Hypothesis strategies: arbitrary graph-shaped data, for the text form and for the verifier.

They know nothing of operators: names hold any character, attributes any value, types any shape.
"""

from __future__ import annotations

from hypothesis import strategies as st

from devices import DeviceEnum, DeviceRef
from optima.graph import Graph, Op, Origin, Tensor, TensorType
from optima.graph_tokens import SHORT_DTYPES

TEXT = st.text(max_size=6) | st.sampled_from(["layer1.0", "inf", "nan", "param", "a b", '"', "#;", "->"])
NAMES = st.sampled_from(["t", "tensor_1", "conv2d_1.nchw16c", "7"]) | TEXT.filter(bool)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([float("inf"), -0.0]) | TEXT
LITERALS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
RECIPES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
TYPES = st.builds(TensorType, st.lists(st.integers(0, 9), max_size=4).map(tuple), st.sampled_from(sorted(SHORT_DTYPES)))
ORIGINS = st.builds(Origin, TEXT, st.integers(-1, 999), TEXT, TEXT)
DEVICES = st.builds(DeviceRef, st.sampled_from(list(DeviceEnum)), st.integers(0, 99))
OPERATORS = st.sampled_from(["conv2d", "cat", "add", "no_such_op", "batch_norm", "index"])
ROLES = st.sampled_from(["input", "weight", "self", "other", "tensors.0", "tensors.1", "indices.1", "a b"])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph whose names are consistent (every tensor defined once, before use) and all else arbitrary."""
    names = iter(draw(st.lists(NAMES, min_size=14, max_size=14, unique=True)))
    tensors: dict[str, Tensor] = {}

    def new(is_param: bool) -> str:
        name, texts = next(names), st.just("") | TEXT
        recipe = draw(st.none() | RECIPES)
        tensors[name] = Tensor(name, draw(TYPES), is_param, None, draw(texts), draw(texts), draw(texts), recipe)
        return name

    inputs = [new(False) for _ in range(draw(st.integers(0, 2)))]
    params = [new(True) for _ in range(draw(st.integers(0, 2)))]
    known, ops = inputs + params, []
    for op_name in draw(st.lists(NAMES, max_size=4, unique=True)):
        operands = draw(st.lists(st.sampled_from(known), max_size=4)) if known else []
        roles = draw(st.lists(ROLES, min_size=len(operands), max_size=len(operands), unique=True))
        results = [new(False) for _ in range(draw(st.integers(1, 2)))]
        known += results
        ops.append(
            Op(
                op_name,
                draw(OPERATORS),
                tuple(operands),
                tuple(roles),
                tuple(results),
                draw(st.dictionaries(NAMES, LITERALS, max_size=3)),
                tuple(draw(st.lists(ORIGINS, max_size=2))),
                tuple(draw(st.lists(DEVICES, max_size=2))),
                draw(st.just("") | NAMES),
            )
        )
    outputs = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
    return Graph(draw(NAMES), tuple(ops), tensors, tuple(inputs), tuple(outputs), draw(TEXT), draw(TEXT))
