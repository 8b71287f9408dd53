"""Independent subgraphs on different devices run at the same time; failures and memory under it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import optima.runtime as rt
from devices import DeviceEnum
from optima import backends
from optima.manager import Manager
from tests.backends.meeting.load import HOOK
from torch2nx.converter import Torch2GraphConverter

KINDS = [DeviceEnum("MYRIAD"), DeviceEnum("HEXAGON"), DeviceEnum("ADRENO"), DeviceEnum("X64")]


class Branches(nn.Module):
    """Two branches from one input that meet, then a tail."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right, self.tail = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.tail(torch.tanh(self.left(x)) * torch.sigmoid(self.right(x)))
        return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    if "meeting" not in backends.backend_names():
        backends.register("meeting", "tests.backends.meeting")
    folder = tmp_path_factory.mktemp("lanes")
    module = Branches().eval()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[torch.randn(3, 6)], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    left, tanh, right, sigmoid, *rest = names
    assert tanh.startswith("tanh") and sigmoid.startswith("sigmoid")
    place = {left: "MYRIAD:0", tanh: "MYRIAD:0", right: "HEXAGON:0", sigmoid: "HEXAGON:0"}
    (folder / "map.json").write_text(json.dumps({**place, **dict.fromkeys(rest, "X64:0")}))
    chosen = dict.fromkeys([kind.value for kind in KINDS], "meeting")
    path = Manager().optimize("M", KINDS, graph, folder, folder / "map.json", backends=chosen, progress=False).path
    return module, path


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    HOOK.clear()


def run(model: Any, x: torch.Tensor) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = model(x.numpy())
    return result


def test_two_devices_work_at_the_same_time(made: tuple[nn.Module, Path]) -> None:
    module, path = made
    barrier = threading.Barrier(2)
    HOOK["run"] = lambda device: None if device == "X64:0" else (barrier.wait(20), None)[1]
    model = rt.Context().load_model(path)
    x = torch.randn(3, 6)
    with torch.no_grad():
        np.testing.assert_allclose(run(model, x), module(x).numpy(), atol=1e-6)


def test_many_requests_share_the_lanes(made: tuple[nn.Module, Path]) -> None:
    module, path = made
    busy: dict[str, int] = {}
    lock = threading.Lock()

    def watch(device: str) -> None:
        with lock:
            busy[device] = busy.get(device, 0) + 1

    HOOK["run"] = watch
    model = rt.Context().load_model(path)
    samples = [torch.randn(3, 6) for _ in range(24)]
    requests = [model.create_request() for _ in samples]
    for request, x in zip(requests, samples, strict=True):
        request.set_inputs(x.numpy())
        request.infer()
    for request, x in zip(requests, samples, strict=True):
        assert not request.wait(60_000)
        with torch.no_grad():
            np.testing.assert_allclose(request.get_outputs()[0], module(x).numpy(), atol=1e-6)
    assert busy == {"MYRIAD:0": 24, "HEXAGON:0": 24, "X64:0": 24}


def test_a_failing_branch_is_raised_after_the_other_ended(made: tuple[nn.Module, Path]) -> None:
    module, path = made
    ended = threading.Event()

    def fail(device: str) -> None:
        if device == "MYRIAD:0":
            raise OSError("the stick was pulled out")
        if device == "HEXAGON:0":
            assert not ended.wait(0.2)
            ended.set()

    HOOK["run"] = fail
    model = rt.Context().load_model(path)
    x = torch.randn(3, 6)
    with pytest.raises(rt.SubgraphFailed, match=r"subgraph_\d failed on MYRIAD:0: OSError: the stick was pulled out"):
        run(model, x)
    assert ended.is_set()
    HOOK.clear()
    with torch.no_grad():
        np.testing.assert_allclose(run(model, x), module(x).numpy(), atol=1e-6)


def test_the_profile_counts_transfers_and_wall_time(made: tuple[nn.Module, Path]) -> None:
    _, path = made
    request = rt.Context().load_model(path).create_request()
    request.set_inputs(np.zeros((3, 6), np.float32))
    request.infer()
    request.wait()
    profile = request.profile_data
    assert {(t.source, t.target) for t in profile.transfers} >= {("subgraph_0", "subgraph_2")}
    assert profile.copied_bytes == sum(t.nbytes for t in profile.transfers if t.kind == "copy") > 0
    assert profile.us > 0
    assert {t.us for t in profile.transfers} == {None}  # this backend does not say what copying takes
