"""What the TFLite route writes becomes full int8 and keeps its values; what cannot is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optima.backends.edgetpu.quantise import quantised
from optima.backends.edgetpu.runner import Runner
from optima.graph import Graph
from optima.ops.reference import run_graph
from optima.quantise import QuantisationError, sqnr_db
from optima.tflite_export import to_tflite
from tests.ops.case import OpCase
from tests.tflite_export.test_cases import ROUTED, graph_of, taken

pytest.importorskip("ai_edge_quantizer", reason="the extra optima[tpu] is not installed")

# The quantiser keeps every tensor of the model while it calibrates, and LiteRT warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`")

#: dB; one tensor at int8 has about 40 where its values fill their range, and a softmax or a single value less
LEAST_DB = 24


def renamed(graph: Graph) -> Graph:
    """A case's operands are named by their roles, and "self" is taken in Python calls."""

    def new(name: str) -> str:
        return f"tensor_{name.replace('.', '_')}"

    (op,) = graph.ops
    op = replace(op, inputs=tuple(map(new, op.inputs)), outputs=tuple(map(new, op.outputs)))
    tensors = {new(n): replace(t, name=new(n)) for n, t in graph.tensors.items()}
    return replace(
        graph,
        ops=(op,),
        tensors=tensors,
        inputs=tuple(map(new, graph.inputs)),
        outputs=tuple(map(new, graph.outputs)),
    )


def loss(case: OpCase) -> str:
    """What an op lost in int8 if it is too much, else ""."""
    plain = graph_of(case)
    graph, values = renamed(plain), case.values()
    if case.op in ("sqrt", "rsqrt") or case.attrs.get("exponent") in (0.5, -0.5):
        values = {n: np.abs(v) + np.float32(0.5) for n, v in values.items()}
    inputs = [values[n] for n in plain.inputs]
    model = to_tflite(graph, to_be_int8=True)
    int8 = quantised(model, [dict(zip(graph.inputs, inputs, strict=True))])
    wanted, found = (Runner(content).run(inputs) for content in (model, int8))
    ratios = [sqnr_db(w, f) for w, f in zip(wanted, found, strict=True) if w.any()]
    return f"{case.id}: {min(ratios)} dB" if ratios and min(ratios) < LEAST_DB else ""


@pytest.mark.parametrize("op", [e.name for e in ROUTED])
def test_each_case_becomes_full_int8_and_keeps_its_values(op: str) -> None:
    losses = [found for case in taken() if case.op == op and (found := loss(case))]
    assert not losses


def parsed(lines: str, kind: str = "f32[2,4]") -> Graph:
    return Graph.parse(f"graph g(%tensor_0: {kind}) -> (%y)\n{lines}")


def test_a_tensor_that_is_always_zero_does_no_harm() -> None:
    graph = parsed(
        "  %a = mul_1: mul(%tensor_0) {other=0.0} : f32[2,4]\n  %b = rsqrt_2: rsqrt(%c) : f32[2,4]\n"
        "  %y = mul_3: mul(%a, %b) : f32[2,4]\n".replace(
            "  %b = rsqrt_2", "  %c = add_4: add(%a) {other=0.5} : f32[2,4]\n  %b = rsqrt_2"
        )
    )
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    (found,) = Runner(quantised(to_tflite(graph, to_be_int8=True), [{"tensor_0": x}])).run([x])
    np.testing.assert_allclose(found, 0, atol=0.02)


def test_nan_inside_is_refused_with_the_op() -> None:
    graph = parsed("  %a = sqrt_1: sqrt(%tensor_0) : f32[2,4]\n  %y = mul_2: mul(%a) {other=2.0} : f32[2,4]\n")
    with pytest.raises(QuantisationError) as refused:
        quantised(to_tflite(graph), [{"tensor_0": np.full((2, 4), -1.0, np.float32)}])
    assert "sqrt_1" in [p.subject for p in refused.value.problems]


def test_ranges_cover_all_samples() -> None:
    """The quantiser's own default would have kept to what the first samples show."""
    graph = parsed("  %y = relu_1: relu(%tensor_0) : f32[2,4]\n")
    samples = [np.full((2, 4), level, np.float32) for level in (1.0, 1.0, 8.0)]
    int8 = quantised(to_tflite(graph), [{"tensor_0": s} for s in samples])
    np.testing.assert_allclose(Runner(int8).run([samples[-1]])[0], 8.0, atol=0.05)


@pytest.mark.parametrize(
    "lines",
    [
        "  %a = tanh_1: tanh(%tensor_0) : f32[2,4]\n  %y = neg_2: neg(%a) : f32[2,4]\n",
        "  %a, %y = chunk_1: chunk(%tensor_0) {chunks=2, dim=1} : f32[2,2], f32[2,2]\n",
        "  %y = maximum_1: maximum(%tensor_0, %p) : f32[2,4]\n",
        "  %y = minimum_1: minimum(%tensor_0, %p) : f32[2,4]\n",
    ],
    ids=["an output that is read", "a part that nobody reads", "maximum of a row", "minimum of a row"],
)
def test_what_fuzzing_found(lines: str) -> None:
    """What the quantiser left in float, made wrong, or refused."""
    param = '  %p = param "p" : f32[4]\n' if "%p" in lines else ""
    results = "%a, %y" if "tanh" in lines else "%y"
    row = np.asarray([0.5, -0.5, 1.0, 0.0], np.float32)
    graph = Graph.parse(f"graph g(%tensor_0: f32[2,4]) -> ({results})\n{param}{lines}", {"p": row})
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    found = Runner(quantised(to_tflite(graph, to_be_int8=True), [{"tensor_0": x}])).run([x])
    for (name, wanted), got in zip(run_graph(graph, {"tensor_0": x}).items(), found, strict=True):
        assert sqnr_db(wanted, got) > 30, name


def test_equal_arguments_give_equal_bytes() -> None:
    model = to_tflite(parsed("  %y = tanh_1: tanh(%tensor_0) : f32[2,4]\n"))
    samples = [{"tensor_0": np.random.default_rng(k).standard_normal((2, 4)).astype(np.float32)} for k in range(4)]
    assert quantised(model, samples) == quantised(model, samples)


def test_operators_have_the_lowest_versions_of_their_int8_forms() -> None:
    from ai_edge_litert import schema_py_generated as schema

    graph = parsed("  %a = tanh_1: tanh(%tensor_0) : f32[2,4]\n  %y = reshape_2: reshape(%a) {shape=[8]} : f32[8]\n")
    int8 = quantised(to_tflite(graph, to_be_int8=True), [{"tensor_0": np.ones((2, 4), np.float32)}])
    codes = schema.ModelT.InitFromPackedBuf(int8, 0).operatorCodes
    ops = schema.BuiltinOperator
    assert {code.builtinCode: code.version for code in codes} == {
        ops.QUANTIZE: 1, ops.TANH: 2, ops.RESHAPE: 1, ops.DEQUANTIZE: 2,
    }  # fmt: skip
    assert {code.builtinCode for code in codes} == {code.deprecatedBuiltinCode for code in codes}


def test_data_is_aligned() -> None:
    import tflite

    (case, *_) = [c for c in taken() if c.op == "conv2d"]
    graph, values = renamed(graph_of(case)), case.values()
    sample = dict(zip(graph.inputs, (values[n] for n in graph_of(case).inputs), strict=True))
    int8 = quantised(to_tflite(graph, to_be_int8=True), [sample])
    start = np.frombuffer(int8, np.uint8).ctypes.data
    model = tflite.Model.GetRootAs(int8, 0)
    buffers = [model.Buffers(k) for k in range(model.BuffersLength())]
    offsets = [b.DataAsNumpy().ctypes.data - start for b in buffers if b.DataLength()]
    assert len(offsets) >= 3 and not any(offset % 16 for offset in offsets)


@pytest.mark.parametrize(
    ("error", "ratio"), [(0.0, 200.0), (0.1, 20.0), (1.0, 0.0), (1e9, -180.0), (np.nan, -200.0), (np.inf, -200.0)]
)
def test_the_ratio_is_finite(error: float, ratio: float) -> None:
    signal = np.ones(4, np.float32)
    assert sqnr_db(signal, signal + np.float32(error)) == pytest.approx(ratio, abs=0.01)
    assert sqnr_db(signal * 0, signal) == -200.0
