"""The seed's tutorial, run from top to bottom with the import names of the design."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import networkx as nx
import pytest
import torch
from torch import nn

import devices
import optima
import optima.runtime as rt
from optima.manager import Manager
from optima.quantise import sqnr_db
from torch2nx import converter


class SampleModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, 1, 1, bias=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out1 = self.conv(x)
        return out1 + y


def test_the_tutorial(tmp_path: Path) -> None:
    model = SampleModel()
    sample_input_list = [torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)]

    gpickle = str(tmp_path / "sample.gpickle")
    graph_converter = converter.Torch2GraphConverter(tf_flip=True, torch_flip=False)
    nx_graph = graph_converter.convert(model=model, fake_torch_data=sample_input_list, gpu=False)
    graph_converter.reset_module()
    graph_converter.export_to_gpickle(gpickle, nx_graph)

    alloc_dict = {}
    with open(gpickle, "rb") as f:
        generalized_graph = pickle.load(f)  # noqa: S301 (the tutorial's own file)
        for node_name in nx.topological_sort(generalized_graph):
            nx_dict = generalized_graph.nodes[node_name]["data"]
            if nx_dict["kind"] == "OpNode":
                alloc_dict[node_name] = "X64:0"
    assert alloc_dict == {"conv2d_2": "X64:0", "add_5": "X64:0"}
    assert sorted(generalized_graph.nodes) == sorted(
        ["tensor_0", "tensor_1", "conv2d_2", "paramtensor_3", "tensor_4", "add_5", "tensor_6"]
    )
    map_path = str(tmp_path / "sample.json")
    with open(map_path, "w") as f:
        json.dump(alloc_dict, f)

    two_devices = tmp_path / "two.json"
    two_devices.write_text('{"conv2d_2": "HEXAGON:0", "add_5": "X64:1"}')
    graph_converter.plot_network(tmp_path, "picture", two_devices, figsizenum=5)
    pictures = list(tmp_path.glob("picture*"))
    assert len(pictures) == 1 and pictures[0].stat().st_size > 1000

    compiled = Manager().optimize(
        "SampleModel",
        [devices.DeviceEnum.DEVICE_KIND_HEXAGON, devices.DeviceEnum.DEVICE_KIND_X64],
        gpickle,
        str(tmp_path / "outputs"),
        map_path,
    )
    root = tmp_path / "outputs" / "SampleModel"
    assert compiled.path == root
    assert (root / "model.meta").is_file()
    assert (root / "Subgraph_0" / "subgraph_0.meta").is_file()
    assert list((root / "Subgraph_0").glob("*.so"))

    # tf_flip: 4-D inputs and outputs of the compiled model are NHWC.
    loaded = rt.Context().load_model(str(root))
    x, y = (t.permute(0, 2, 3, 1).numpy() for t in sample_input_list)
    with torch.no_grad():
        expected = model(*sample_input_list).permute(0, 2, 3, 1).numpy()
    assert loaded.input_tensors_info[0].shape == (1, 32, 32, 3)
    found = loaded(x, y)
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()
    assert optima.verify(model, root, [tuple(sample_input_list)]).ok

    # HEXAGON quantises: refused without samples, before anything is compiled, and the old folder stays.
    before = (root / "model.meta").read_bytes()
    with pytest.raises(optima.OptimaError, match="HEXAGON") as refused:
        Manager().optimize(
            "SampleModel",
            [devices.DeviceEnum.DEVICE_KIND_HEXAGON, devices.DeviceEnum.DEVICE_KIND_X64],
            gpickle,
            str(tmp_path / "outputs"),
            two_devices,
        )
    assert "sample_inputs" in refused.value.hint
    assert (root / "model.meta").read_bytes() == before

    # With samples it compiles, and runs where there is no such device.
    samples = [(torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)) for _ in range(8)]
    Manager().optimize(
        "SampleModel",
        [devices.DeviceEnum.DEVICE_KIND_HEXAGON, devices.DeviceEnum.DEVICE_KIND_X64],
        gpickle,
        str(tmp_path / "outputs"),
        two_devices,
        sample_inputs=samples,
    )
    loaded = rt.Context().load_model(str(root), fallback=True)
    assert [str(s.device) for s in loaded.subgraph_info] == ["HEXAGON:0", "X64:1"]
    assert sqnr_db(expected, loaded(x, y)) > 30.0
