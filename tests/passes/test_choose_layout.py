"""Blocked layouts: the same answer, moves only at borders, weights that can be made again, padding that stays put."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.entry import REQUIRED
from optima.ops.reference import infer_types, run_graph
from optima.ops.registry import entry_of
from optima.passes.choose_layout import choose_layout
from optima.passes.context import PassContext
from optima.recipe import evaluate


class Builder:
    """Writes a graph op by op, with random parameters."""

    def __init__(self, *shape: int) -> None:
        self.tensors = {"x": Tensor("x", TensorType(shape, "float32"))}
        self.ops: list[Op] = []
        self.rng = np.random.default_rng(0)

    def param(self, *shape: int) -> str:
        name = f"p{len(self.tensors)}"
        value = self.rng.standard_normal(shape).astype("float32")
        self.tensors[name] = Tensor(name, TensorType(shape, "float32"), True, value, source=f"m.{name}")
        return name

    def op(self, name: str, /, *, out: str = "", **arguments: Any) -> str:
        """Operands by role as tensor names, attributes by name."""
        entry = entry_of(name)
        assert entry is not None
        roles = [r for r in arguments if r.split(".")[0] in {o.rstrip("?*") for o in entry.operands}]
        roles += [r for r in arguments if "__" in r]
        attrs = {k: v for k, v in entry.attrs.items() if v is not REQUIRED}
        attrs |= {k: v for k, v in arguments.items() if k not in roles}
        inputs = tuple(arguments[r] for r in roles)
        out = out or f"t{len(self.tensors)}"
        op = Op(f"{name}_{len(self.ops)}", name, inputs, tuple(r.replace("__", ".") for r in roles), (out,), attrs)
        (kind,) = infer_types(op, [self.tensors[n].type for n in inputs])
        self.tensors[out] = Tensor(out, kind)
        self.ops.append(op)
        return out

    def conv(self, x: str, channels: int, kernel: int, groups: int = 1, **attrs: Any) -> str:
        inputs = self.tensors[x].shape[1]
        weight = self.param(channels, inputs // groups, kernel, kernel)
        return self.op("conv2d", input=x, weight=weight, bias=self.param(channels), groups=groups, **attrs)

    def graph(self, *outputs: str) -> Graph:
        return Graph("g", tuple(self.ops), self.tensors, ("x",), outputs)


def _same_after(graph: Graph, lanes: int = 16, tolerance: float = 1e-5) -> Graph:
    """The rewritten graph, after checking that it is sound and computes the same."""
    after = choose_layout(graph, PassContext(lanes)).verify()
    assert (after.inputs, after.outputs) == (graph.inputs, graph.outputs)
    x = {"x": np.random.default_rng(1).standard_normal(graph.type_of("x").shape).astype("float32")}
    wanted, got = run_graph(graph, x), run_graph(after, x)
    for name, value in wanted.items():
        scale = max(float(np.abs(value).max()), 1e-6)
        assert float(np.abs(got[name] - value).max()) <= tolerance * scale
    return after


def _counts(graph: Graph) -> Counter[str]:
    return Counter(op.op for op in graph.ops)


@pytest.mark.parametrize("lanes", [16, 8, 4])
def test_residual_network_moves_nothing_inside(lanes: int) -> None:
    b = Builder(2, 3, 20, 20)
    y = b.op("relu", self=b.conv("x", 32, 7, stride=(2, 2), padding=(3, 3)))
    y = b.op("max_pool2d", self=y, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    z = b.conv(b.op("relu", self=b.conv(y, 32, 3, padding=(1, 1))), 32, 3, padding=(1, 1))
    y = b.op("relu", self=b.op("add", self=z, other=y))
    y = b.op("flatten", self=b.op("adaptive_avg_pool2d", self=y, output_size=(1, 1)), start_dim=1)
    y = b.op("linear", input=y, weight=b.param(10, 32), bias=b.param(10))
    counts = _counts(_same_after(b.graph(y), lanes))
    assert counts["to_blocked"] == counts["from_blocked"] == 0
    assert counts["conv2d_blocked"] == 3 and counts["linear_packed"] == 1 and counts["conv2d"] == 0


def test_channels_that_fill_no_block_are_padded() -> None:
    b = Builder(1, 3, 8, 8)
    y = b.op("hardtanh", self=b.conv("x", 24, 3), min_val=0.0, max_val=6.0)
    y = b.conv(y, 24, 3, groups=24, padding=(1, 1))
    y = b.op("add", self=y, other=b.conv(y, 24, 1))
    after = _same_after(b.graph(b.conv(y, 5, 1)))
    assert _counts(after)["depthwise_conv2d_blocked"] == 1
    blocks = {t.shape[1] for name, t in after.tensors.items() if name.endswith(".nchw16c")}
    assert blocks == {2, 1}  # 24 channels, and the last convolution's 5


@pytest.mark.parametrize("function", ["sigmoid", "exp", "silu", "tanh"])
def test_spare_lanes_never_reach_a_result(function: str) -> None:
    b = Builder(1, 3, 6, 6)
    y = b.op(function, self=b.conv("x", 20, 3))
    pooled = b.op("avg_pool2d", self=y, kernel_size=(2, 2), stride=(1, 1), padding=(1, 1))
    _same_after(b.graph(b.conv(y, 20, 1), pooled))


def test_log_of_spare_zeros_is_computed_dense() -> None:
    b = Builder(1, 3, 6, 6)
    y = b.op("abs", self=b.conv("x", 20, 3))
    after = _same_after(b.graph(b.conv(b.op("log", self=y), 20, 1)))
    (log,) = [op for op in after.ops if op.op == "log"]
    assert len(after.type_of(log.inputs[0]).shape) == 4


def test_squeeze_and_excite() -> None:
    b = Builder(2, 3, 9, 9)
    y = b.op("silu", self=b.conv("x", 40, 3))
    s = b.op("adaptive_avg_pool2d", self=y, output_size=(1, 1))
    s = b.op("sigmoid", self=b.conv(b.op("relu", self=b.conv(s, 8, 1)), 40, 1))
    after = _same_after(b.graph(b.conv(b.op("mul", self=y, other=s), 16, 1)))
    assert _counts(after)["from_blocked"] == 1  # the result


def test_per_channel_constants_and_prelu() -> None:
    b = Builder(1, 3, 7, 7)
    y = b.op("mul", self=b.conv("x", 20, 3), other=b.param(20, 1, 1))
    y = b.op("prelu", self=y, weight=b.param(20))
    after = _same_after(b.graph(b.conv(y, 20, 1)))
    assert _counts(after)["prelu_blocked"] == 1 and _counts(after)["from_blocked"] == 1


def test_concatenation_of_whole_blocks_stays_blocked() -> None:
    b = Builder(1, 3, 7, 7)
    left, right = b.conv("x", 32, 3), b.conv("x", 16, 3)
    after = _same_after(b.graph(b.conv(b.op("cat", tensors__0=left, tensors__1=right, dim=1), 16, 1)))
    assert _counts(after)["from_blocked"] == 1 and _counts(after)["to_blocked"] == 0


def test_an_op_without_blocked_form_gets_dense_operands_once() -> None:
    b = Builder(1, 16, 6, 6)
    y = b.conv("x", 16, 3, padding=(1, 1))
    flipped = b.op("permute", self=y, dims=(0, 1, 3, 2))
    again = b.op("permute", self=y, dims=(0, 1, 3, 2))
    after = _same_after(b.graph(flipped, again, y))
    assert _counts(after)["from_blocked"] == 1 and _counts(after)["to_blocked"] == 1


@pytest.mark.parametrize(
    ("groups", "attrs", "blocked"),
    [
        (2, {}, True),
        (4, {}, False),  # 8 channels a group: no whole block
        (1, {"padding": "same", "stride": (1, 1)}, True),
        (1, {"padding": "valid"}, True),
        (1, {"dilation": (2, 2)}, True),
    ],
    ids=str,
)
def test_groups_and_paddings(groups: int, attrs: dict[str, Any], blocked: bool) -> None:
    b = Builder(1, 32, 9, 9)
    after = _same_after(b.graph(b.conv("x", 32, 3, groups=groups, **attrs)))
    assert (_counts(after)["conv2d_blocked"] == 1) is blocked


def test_a_same_padding_that_is_uneven_stays_dense() -> None:
    b = Builder(1, 16, 9, 9)
    assert _counts(_same_after(b.graph(b.conv("x", 16, 4, padding="same"))))["conv2d_blocked"] == 0


def test_a_weight_that_is_computed_stays_dense() -> None:
    b = Builder(1, 16, 9, 9)
    weight = b.op("relu", self=b.param(16, 16, 3, 3))
    graph = b.graph(b.op("conv2d", input="x", weight=weight))
    assert _counts(_same_after(graph))["conv2d_blocked"] == 0


def test_shared_weights_are_packed_once_and_by_recipe() -> None:
    b = Builder(1, 16, 9, 9)
    weight = b.param(16, 16, 3, 3)
    y = b.op("conv2d", input=b.op("conv2d", input="x", weight=weight), weight=weight)
    after = _same_after(b.graph(y))
    (packed,) = after.params
    source = b.tensors[weight].value
    assert source is not None and packed.value is not None
    assert np.array_equal(evaluate(packed.recipe, {f"m.{weight}": source}), packed.value)


def test_empty_batches_are_left_alone() -> None:
    b = Builder(0, 16, 9, 9)
    graph = b.graph(b.conv("x", 16, 3))
    assert choose_layout(graph, PassContext(16)).ops == graph.ops
