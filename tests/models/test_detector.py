"""A detector from image to chosen boxes: compiled for two devices, its results as long as the boxes that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import optima
import optima.runtime as rt
from devices import DeviceEnum, InternalError
from optima.artifact.manifest import json_bytes
from optima.graph import Graph
from optima.graph_io import load_graph
from optima.graph_text import structurally_equal
from optima.manager import Manager
from tests.torchvision_nms import nms
from torch2nx.converter import Torch2GraphConverter

CELLS = 64


class Detector(nn.Module):
    """A small backbone, a box, a score and a class per cell, and at most 20 boxes of those that nms keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, 4 + 5, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        cells = self.head(self.backbone(image)).flatten(2).squeeze(0).t()
        corner, size = cells[:, :2].sigmoid() * 30, cells[:, 2:4].exp() * 8
        boxes = torch.cat([corner, corner + size], dim=1)
        scores, labels = cells[:, 4:].sigmoid().max(dim=1)
        keep = nms(boxes, scores, 0.4)[:20]
        return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector().eval()


def image(seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.fixture(scope="module")
def folder(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector with nms and all after it on a device of their own, but for the boxes."""
    place = tmp_path_factory.mktemp("detector")
    graph = Torch2GraphConverter().convert(model=detector, fake_torch_data=[image(0)])
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    at = next(i for i, n in enumerate(names) if n.startswith("nms"))
    devices = {n: "X64:1" if i in (at, at + 1, at + 4) else "X64:0" for i, n in enumerate(names)}
    (place / "map.json").write_text(json.dumps(devices))
    kinds = [DeviceEnum.DEVICE_KIND_X64]
    return Manager().optimize("Detector", kinds, graph, place, place / "map.json", progress=False).path


def test_it_is_equal_to_eager_and_as_long(detector: Detector, folder: Path) -> None:
    samples = [(image(seed, scale),) for seed, scale in ((0, 1.0), (1, 0.1), (2, 5.0), (3, 0.0))]
    report = optima.verify(detector, folder, samples)
    assert report.ok, str(report)
    model = rt.Context().load_model(str(folder))
    assert len(model.subgraph_info) > 1
    lengths = set()
    for (sample,) in samples:
        with torch.no_grad():
            wanted = detector(sample)
        for found in (model(sample.numpy()), model.run(sample.numpy())):
            assert {k: v.shape for k, v in found.items()} == {k: tuple(v.shape) for k, v in wanted.items()}
        lengths.add(len(wanted["boxes"]))
    assert len(lengths) > 1, "the samples keep the same number of boxes"


def test_what_the_runtime_says_of_the_size(folder: Path) -> None:
    model = rt.Context().load_model(str(folder))
    boxes, scores, labels = model.output_tensors_info
    assert (boxes.shape, scores.shape, labels.shape) == ((20, 4), (20,), (20,))
    assert [dict(t.bounded) for t in (boxes, scores, labels)] == [{0: "n0"}] * 3
    assert str(boxes) == "boxes: float32[<=20, 4]"
    (symbol,) = model.meta.symbols
    assert (symbol.min, symbol.max, symbol.count.dtype) == (1, 20, "int64")
    request = model.create_request()
    request.set_inputs(image(0).numpy())
    request.infer()
    request.wait()
    found = request.get_outputs()
    assert len(found[0]) == len(found[1]) == len(found[2]) <= 20
    assert request.get_output_tensor("boxes").to_numpy().shape == found[0].shape


def test_it_round_trips_as_text(detector: Detector) -> None:
    graph = load_graph(Torch2GraphConverter().convert(model=detector, fake_torch_data=[image(0)]))
    text = graph.dump()
    assert f"  symbol n0 min 1 max 20 count %{graph.symbols[0].count} axes [[" in text
    assert structurally_equal(Graph.parse(text), graph)
    assert Graph.parse(text).dump() == text


def edited(folder: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the folder whose ``model.meta`` was changed, as an attacker would."""
    copy = place / "Detector"
    copy.mkdir()
    for path in folder.rglob("*"):
        target = copy / path.relative_to(folder)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    meta = json.loads((copy / "model.meta").read_bytes())
    change(meta["symbols"][0])
    (copy / "model.meta").write_bytes(json_bytes(meta))
    return copy


REFUSED: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("nothing makes", lambda s: s["count"].update(name="tensor_999")),
    ("two ways", lambda s: s["count"].update(name=s["axes"][0][0])),
    ("int64 scalar", lambda s: s["count"].update(shape=[4])),
    ("int64 scalar", lambda s: s["count"].update(dtype="float32")),
    ("with 200 rows", lambda s: s.update(max=200)),
    ("goes from 30", lambda s: s.update(min=30)),
    ("axis 7", lambda s: s["axes"][0].__setitem__(1, 7)),
    ("greater than or equal to 0", lambda s: s["axes"][0].__setitem__(1, -1)),
    ("no output", lambda s: s["axes"][0].__setitem__(0, "tensor_0")),
    ("occurs 2 times", lambda s: s["axes"].append(list(s["axes"][0]))),
]


@pytest.mark.parametrize(("text", "change"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_symbols_that_contradict_the_folder_are_refused(
    folder: Path, tmp_path: Path, text: str, change: Callable[[dict[str, Any]], None]
) -> None:
    with pytest.raises(rt.OptimaError) as caught:
        rt.Context().load_model(str(edited(folder, tmp_path, change)))
    assert text in str(caught.value), str(caught.value)


def test_a_count_out_of_range_is_an_error_and_reads_nothing(folder: Path, tmp_path: Path) -> None:
    def narrow(symbol: dict[str, Any]) -> None:
        symbol["min"] = 20

    model = rt.Context().load_model(str(edited(folder, tmp_path, narrow)))
    with pytest.raises(InternalError, match="outside 20 to 20"):
        model(np.zeros((1, 3, 32, 32), np.float32))
