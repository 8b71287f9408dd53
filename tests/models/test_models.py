"""Each example model, mapped to one device, alternating op by op, and at random: equal to PyTorch and to each other."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree

import optima
import optima.runtime as rt
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

TOLERANCE = 1e-4

#: 224 x 224 is for the benchmarks; the same layers at a smaller size are quick to run
SMALL = {"resnet18": (1, 3, 64, 64), "mobilenet_v2": (1, 3, 64, 64), "face_detector": (1, 3, 128, 128)}


def made(name: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    module, samples = MODELS[name]()
    if name in SMALL:
        samples = (torch.rand(SMALL[name], generator=torch.Generator().manual_seed(1)),)
    return module, samples


def maps(names: list[str]) -> dict[str, dict[str, str]]:
    rng = random.Random(0)
    return {
        "one": dict.fromkeys(names, "X64:0"),
        "alternating": {n: f"X64:{i % 2}" for i, n in enumerate(names)},
        "random": {n: f"X64:{rng.randrange(3)}" for n in names},
    }


def error(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    assert expected.shape == found.shape and expected.dtype == found.dtype
    assert np.isfinite(found).all()
    return float(np.abs(expected - found).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_equals_pytorch_under_every_map(name: str, tmp_path: Path) -> None:
    module, samples = made(name)
    tracer = Torch2GraphConverter()
    graph = tracer.convert(model=module, fake_torch_data=list(samples), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    with torch.no_grad():
        expected = [t.numpy() for t in _pytree.tree_leaves(module(*samples))]
    results = {}
    for label, placement in maps(names).items():
        path = tmp_path / f"{label}.json"
        path.write_text(json.dumps(placement))
        compiled = Manager().optimize(label, [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path / "out", path)
        model = rt.Context().load_model(compiled.path)
        request = model.create_request()
        request.set_inputs([s.numpy() for s in samples])
        request.infer()
        assert request.wait(60_000) is False
        results[label] = request.get_outputs()
        assert len(results[label]) == len(expected)
        for want, got in zip(expected, results[label], strict=True):
            assert error(want, got) <= TOLERANCE, label
        if label == "one":
            assert len(model.subgraph_info) == 1
        if label == "alternating":
            report = optima.verify(module, compiled.path, [samples])
            assert report.ok, str(report)
    for label in ("alternating", "random"):
        for one, other in zip(results["one"], results[label], strict=True):
            assert error(one, other) <= TOLERANCE
