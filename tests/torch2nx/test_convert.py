"""The contract of convert(): numbering, folding, sharing, modes, layouts, refusals."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices import MalformedDevice
from optima.graph_io import load_graph
from tests.torch2nx.compare import convert, only_op, ops, run, same_as_eager
from torch2nx import gpickle
from torch2nx.converter import Torch2GraphConverter
from torch2nx.errors import ConvertError, PlotError, UnsupportedOp


class SampleModel(nn.Module):
    """The seed's model."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, 1, 1, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out1 = self.conv(x)
        return out1 + y


SAMPLES = [torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)]


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args)


def test_the_seeds_tutorial(tmp_path: Path) -> None:
    converter = Torch2GraphConverter(tf_flip=True, torch_flip=False)
    graph = converter.convert(model=SampleModel(), fake_torch_data=SAMPLES, gpu=False)
    assert list(graph.nodes) == [
        "tensor_0", "tensor_1", "conv2d_2", "paramtensor_3", "tensor_4", "add_5", "tensor_6",
    ]  # fmt: skip
    converter.reset_module()
    path = str(tmp_path / "sample.gpickle")
    converter.export_to_gpickle(path, graph)
    with open(path, "rb") as f:
        loaded = pickle.load(f)  # noqa: S301
    allocation = {n: "X64:0" for n in nx.topological_sort(loaded) if loaded.nodes[n]["data"]["kind"] == "OpNode"}
    template = tmp_path / "map.json"
    Torch2GraphConverter.get_onedevice_allocator(template, "X64", path)
    assert json.loads(template.read_text()) == allocation == {"conv2d_2": "X64:0", "add_5": "X64:0"}
    Torch2GraphConverter.get_onedevice_allocator(str(template), "X64:1", path)
    assert set(json.loads(template.read_text()).values()) == {"X64:1"}
    with pytest.raises(MalformedDevice):
        Torch2GraphConverter.get_onedevice_allocator(template, "X65", path)
    template.write_text('{"conv2d_2": "HEXAGON:0", "add_5": "X64:1"}')
    picture = converter.plot_network(tmp_path, "sample", template, figsizenum=5)
    assert picture == tmp_path / "sample.png" and picture.read_bytes()[:4] == b"\x89PNG"
    assert load_graph(loaded).dump() == load_graph(path).dump()


def test_unused_inputs_are_numbered_and_kept() -> None:
    graph = same_as_eager(Call(lambda x, unused, y: x + y), *(torch.randn(2) for _ in range(3)))
    assert graph.graph["inputs"] == ["tensor_0", "tensor_1", "tensor_2"]
    assert list(graph.nodes) == ["tensor_0", "tensor_1", "tensor_2", "add_3", "tensor_4"]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.register_buffer("offset", torch.arange(3.0))
        self.plain = torch.ones(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x)) + self.offset + self.offset + self.plain


def test_shared_parameters_buffers_and_plain_tensors() -> None:
    graph = same_as_eager(Shared(), torch.randn(2, 3))
    params = [d["source"] for _, d in graph.nodes(data="data") if d["kind"] == "ParamTensorNode"]
    assert sorted(params) == ["a.weight", "constant_0", "offset"]
    first, second = (d for _, d in graph.nodes(data="data") if d.get("op") == "linear")
    assert first["inputs"][1] == second["inputs"][1]


def test_an_operand_used_twice_stays_twice() -> None:
    data = only_op(same_as_eager(Call(lambda x: x * x), torch.randn(3)), "mul")
    assert data["inputs"] == ["tensor_0", "tensor_0"] and data["roles"] == ["self", "other"]


def no_ops(x: Tensor) -> Tensor:
    x = F.dropout(x, 0.5, training=False).contiguous().to(torch.float32).float().detach().clone()
    x = F.pad(x[:, :].expand(2, 3).permute(0, 1), (0, 0)).view(2, 3).reshape(2, 3).squeeze(1)
    return x.transpose(1, -1).repeat(1, 1).to("cpu")


def test_no_ops_are_dropped() -> None:
    graph = same_as_eager(Call(no_ops), torch.randn(2, 3))
    assert ops(graph) == [] and graph.graph["outputs"] == graph.graph["inputs"]


def constants(x: Tensor) -> Tensor:
    mask = torch.arange(3)[None, :] > torch.arange(3)[:, None]
    bias = torch.zeros(3, 3).masked_fill(mask, float("-inf")) + torch.tensor(1.5) + torch.zeros_like(x)
    table = torch.empty(3, 3).fill_(2.0)
    return x @ bias.exp() + x.new_full((3,), 2.0) + table


def test_what_depends_on_no_input_is_folded() -> None:
    graph = same_as_eager(Call(constants), torch.randn(3, 3))
    assert ops(graph) == ["matmul", "add", "add"]
    sources = [d["source"] for _, d in graph.nodes(data="data") if d["kind"] == "ParamTensorNode"]
    assert sources == ["constant_0", "constant_1", "constant_2"]


def test_a_constant_may_be_an_output() -> None:
    graph = same_as_eager(Call(lambda x: (x + 1, torch.arange(3))), torch.randn(3))
    assert graph.nodes[graph.graph["outputs"][1]]["data"]["kind"] == "ParamTensorNode"


def test_what_depends_on_a_parameter_is_not_folded() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.w.exp()

    assert ops(same_as_eager(Weighted(), torch.randn(3))) == ["exp", "add"]


def test_random_constants_are_not_folded() -> None:
    with pytest.raises(Exception, match="random"):
        convert(Call(lambda x: x + torch.randn(3)), torch.randn(3))


def test_integer_bool_half_and_zero_size_tensors() -> None:
    graph = same_as_eager(Call(lambda i, b: (i + 1, i[b.long()], i[:0])), torch.arange(3), torch.tensor([True]))
    assert {d["dtype"] for _, d in graph.nodes(data="data") if "dtype" in d} == {"int64", "bool"}
    half = nn.Linear(2, 2).to(torch.bfloat16)
    value = next(d["value"] for _, d in convert(half, torch.randn(1, 2).bfloat16()).nodes(data="data") if "value" in d)
    assert value.dtype == np.uint16
    assert (value == half.weight.detach().view(torch.uint16).numpy()).all()


def test_no_grad_and_disabled_autocast_regions_are_inlined() -> None:
    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = x.cos()
        with torch.autocast("cpu", enabled=False):
            y = y.sin()
        with torch.enable_grad():
            return y.exp()

    assert ops(same_as_eager(Call(function), torch.randn(3))) == ["cos", "sin", "exp"]


def _autocast(x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return x @ x


def _chosen(x: Tensor) -> Tensor:
    return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_autocast, "autocast computes in another type"),
        (_chosen, "depends on the data"),
        (torch.vmap(torch.sin), "write the batched form out"),
        (torch.func.grad(lambda x: (x * x).sum()), "torch.autograd.grad"),
    ],
)
def test_what_stands_around_operators_is_refused(function: Any, reason: str) -> None:
    with pytest.raises((ConvertError, UnsupportedOp), match=reason) as caught:
        convert(Call(function), torch.randn(3, 3))
    assert all(p.where.startswith("test_convert.py:") for p in caught.value.problems)


class Drop(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(x))


class OwnDropPath(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5 if self.training else x


def train(model: nn.Module, *samples: Tensor) -> nx.DiGraph:
    return Torch2GraphConverter().convert(model=model, fake_torch_data=list(samples))


def test_train_mode_that_matters_names_every_module() -> None:
    model = nn.Sequential(Drop(0.5), OwnDropPath(), nn.LSTM(3, 3, num_layers=2, dropout=0.1))
    with pytest.raises(ConvertError) as caught:
        train(model, torch.randn(2, 3))
    assert [p.subject for p in caught.value.problems] == ["0.norm", "0.drop", "1", "2"]
    assert "model.eval()" in caught.value.hint
    assert model.training and model[0].drop.training


def test_train_mode_that_does_not_matter_is_traced_and_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.0), nn.InstanceNorm1d(3))
    model[0].eval()
    assert ops(train(model, torch.randn(2, 3, 3))) == ["linear", "instance_norm"]
    assert [m.training for m in model] == [False, True, True] and model.training


def test_dropout_that_is_always_on_is_refused_with_its_line() -> None:
    with pytest.raises(ConvertError) as caught:
        convert(Call(lambda x: F.dropout(x, 0.5)), torch.randn(3))
    assert "F.dropout(x, 0.5)" in caught.value.problems[0].code


def test_torch_flip_takes_nhwc_samples() -> None:
    nhwc = [s.permute(0, 2, 3, 1) for s in SAMPLES]
    flipped = Torch2GraphConverter(torch_flip=True).convert(model=SampleModel(), fake_torch_data=nhwc)
    assert list(flipped.nodes) == list(convert(SampleModel(), *SAMPLES).nodes)
    assert flipped.nodes["tensor_0"]["data"]["shape"] == [1, 3, 32, 32]


@pytest.mark.parametrize(
    ("flip", "expected"),
    [(False, []), (True, ["tensor_0", "tensor_1", "tensor_6"]), (["y"], ["tensor_1", "tensor_6"])],
)
def test_tf_flip_marks_the_border(flip: Any, expected: list[str]) -> None:
    graph = Torch2GraphConverter(tf_flip=flip).convert(model=SampleModel(), fake_torch_data=SAMPLES)
    assert [n for n, d in graph.nodes(data="data") if d.get("layout")] == expected


def test_tf_flip_leaves_other_ranks_and_integers_alone() -> None:
    graph = Torch2GraphConverter(tf_flip=True).convert(
        model=Call(lambda a, b, c: (a + 1, b, c)).eval(),
        fake_torch_data=[
            torch.ones(1, 2, 3),
            torch.ones(1, 2, 3, 4, dtype=torch.int64),
            torch.ones(1, 2, 3, 4),
        ],
    )
    assert [n for n, d in graph.nodes(data="data") if d.get("layout")] == ["tensor_2"]


def test_tf_flip_of_an_unknown_argument() -> None:
    with pytest.raises(ConvertError, match="tf_flip"):
        Torch2GraphConverter(tf_flip=["z"]).convert(model=SampleModel(), fake_torch_data=SAMPLES)


@pytest.mark.parametrize(
    "data",
    [[], [SAMPLES[0]], [*SAMPLES, SAMPLES[0]], SAMPLES[0], [np.zeros((1, 3, 32, 32)), SAMPLES[1]],
     [SAMPLES[0].to(torch.complex64), SAMPLES[1]], ["x", SAMPLES[1]], [SAMPLES[0][:, :2], SAMPLES[1]]],
)  # fmt: skip
def test_samples_that_do_not_fit(data: Any) -> None:
    with pytest.raises(ConvertError):
        Torch2GraphConverter().convert(model=SampleModel(), fake_torch_data=data)


def test_control_flow_on_data_names_the_line() -> None:
    def function(x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x + 1
        return x

    with pytest.raises(ConvertError) as caught:
        convert(Call(function), torch.randn(3))
    (problem,) = caught.value.problems
    assert problem.code == "if x.sum() > 0:" and "test_convert.py" in problem.where
    assert "torch.where" in caught.value.hint and caught.value.__cause__ is None


def test_an_error_of_the_model_itself_names_the_line() -> None:
    with pytest.raises(ConvertError) as caught:
        convert(Call(lambda x: x @ x), torch.randn(2, 3))
    assert "x @ x" in caught.value.problems[0].code


def test_gpu_without_cuda_gives_the_same_graph(caplog: pytest.LogCaptureFixture) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    model = SampleModel()
    graphs = [Torch2GraphConverter().convert(model=model, fake_torch_data=SAMPLES, gpu=gpu) for gpu in (True, False)]
    assert "no CUDA device" in caplog.text
    assert gpickle.dumps(graphs[0]) == gpickle.dumps(graphs[1])


@pytest.mark.parametrize("move", [lambda x: x.cuda(), lambda x: x + torch.ones(3, device="cuda")], ids=["x", "ones"])
def test_a_line_that_asks_for_cuda_itself_says_so_without_cuda(move: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ConvertError) as caught:
        convert(Call(move), torch.randn(3))
    assert "needs a CUDA device" in caught.value.hint and "x.device" in caught.value.hint
    assert "move" in caught.value.problems[0].code or "cuda" in caught.value.problems[0].code


def test_torch_script() -> None:
    with pytest.raises(ConvertError, match="TorchScript"):
        Torch2GraphConverter().convert(model=torch.jit.script(nn.ReLU()), fake_torch_data=[torch.randn(2)])


def test_what_is_no_module() -> None:
    with pytest.raises(ConvertError, match="torch.nn.Module"):
        Torch2GraphConverter().convert(model=len, fake_torch_data=[])  # type: ignore[arg-type]


def test_plotting_needs_a_graph_and_a_map_that_fits(tmp_path: Path) -> None:
    converter = Torch2GraphConverter()
    with pytest.raises(PlotError, match="no graph"):
        converter.plot_network(tmp_path, "p", tmp_path / "m.json")
    converter.convert(model=SampleModel(), fake_torch_data=SAMPLES)
    (tmp_path / "m.json").write_text('{"conv2d_2": "X64:0", "add_6": "X64:0"}')
    with pytest.raises(PlotError) as caught:
        converter.plot_network(tmp_path, "p", tmp_path / "m.json")
    assert [p.subject for p in caught.value.problems] == ["add_5", "add_6"]


def test_plotting_without_pygraphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    converter = Torch2GraphConverter()
    converter.convert(model=SampleModel(), fake_torch_data=SAMPLES)
    (tmp_path / "m.json").write_text('{"conv2d_2": "X64:0", "add_5": ["X64:0", "X64:1"]}')
    with pytest.raises(PlotError) as caught:
        converter.plot_network(tmp_path, "p", tmp_path / "m.json")
    assert "[plot]" in caught.value.hint


def test_a_transformer_with_a_mask_of_its_caller() -> None:
    # Torch itself cannot export it: it looks at the mask's values for a hint that only makes it faster.
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    same_as_eager(nn.TransformerDecoder(layer, 2), torch.randn(2, 5, 8), torch.randn(2, 3, 8), mask)


def test_one_tensor_for_two_arguments_stays_two_inputs() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a - 2 * b

    x = torch.randn(3)
    graph = convert(Two(), x, x)
    assert run(load_graph(graph), [torch.ones(3), torch.full((3,), 5.0)]).tolist() == [-9.0] * 3
