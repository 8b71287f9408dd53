"""Preference lists and fallbacks: every kind of a list has a form, the CPU one beside it, and load takes the best."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import optima
import optima.runtime as rt
from devices import DeviceEnum, DeviceRef
from optima.artifact.manifest import json_bytes
from optima.backends import register
from optima.errors import load as error_class
from optima.manager import CompiledModel, Manager
from tests.forms.load import STATE, State
from torch2nx import converter

register("plugged", "tests.forms")

BACKENDS = {"MALI": "plugged", "ADRENO": "plugged", "MYRIAD": "plugged"}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.second = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


@pytest.fixture(autouse=True)
def _plugged() -> Iterator[None]:
    yield
    STATE.__dict__.update(State().__dict__)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


X = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))


def compiled(
    module: nn.Module,
    folder: Path,
    first: Any,
    second: Any = "X64:0",
    *,
    backends: Mapping[str, str] = BACKENDS,
    **given: Any,
) -> CompiledModel:
    """``first`` is the value of the map for all ops but the last."""
    graph = converter.Torch2GraphConverter().convert(model=module, fake_torch_data=[X], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    folder.mkdir(exist_ok=True)
    path = folder / "map.json"
    path.write_text(json.dumps({**dict.fromkeys(names[:-1], first), names[-1]: second}))
    return Manager().optimize("Net", list(DeviceEnum), graph, folder, path, progress=False, backends=backends, **given)


def files(made: CompiledModel) -> set[str]:
    root = made.path / "Subgraph_0"
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.suffix != ".so"}


def assert_right(model: rt.Model, module: nn.Module) -> None:
    with torch.no_grad():
        np.testing.assert_allclose(model(X.numpy()), module(X).numpy(), atol=1e-5)


def chosen(model: rt.Model) -> tuple[str, str, bool]:
    info = model.subgraph_info[0]
    return str(info.device), info.backend, info.simulated


LIST = ["MALI:0", "X64:0"]


def test_each_kind_of_a_list_has_a_form_of_its_own(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, ["MALI:0", "X64:3", "MALI:1", "ADRENO:0"])
    assert files(made) == {
        "subgraph_0.meta", "graph.txt", "alternative_1/alternative_1.meta", "alternative_2/alternative_2.meta",
        "alternative_2/graph.txt",
    }  # fmt: skip
    part = json.loads((made.path / "model.meta").read_bytes())["subgraphs"][0]
    assert part["devices"] == ["MALI:0", "X64:3", "MALI:1", "ADRENO:0"]
    assert [form["devices"] for form in part["alternatives"]] == [["X64:3"], ["ADRENO:0"]]
    assert [form["backend"] for form in (part, *part["alternatives"])] == ["plugged", "llvm", "plugged"]
    assert part["fallback"] is None and part["no_fallback"] == ""
    assert made.report.placement[0][1:3] == ("MALI:0, X64:3, MALI:1, ADRENO:0", "plugged, llvm")


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (set(), ("X64:0", "llvm", False)),
        ({"MALI:0"}, ("MALI:0", "plugged", False)),
        ({"MALI:1"}, ("MALI:1", "plugged", False)),
        ({"ADRENO:0"}, ("X64:0", "llvm", False)),
    ],
)
def test_the_first_device_that_is_here_runs_its_own_form(
    module: nn.Module, tmp_path: Path, here: set[str], expected: tuple[str, str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    made = compiled(module, tmp_path, ["MALI:0", "MALI:1", "X64:0", "ADRENO:0"])
    STATE.here = here
    with caplog.at_level(logging.WARNING):
        model = rt.Context().load_model(made.path)
    assert chosen(model) == expected
    assert_right(model, module)
    assert (f"subgraph_0 runs on {expected[0]} (of MALI:0" in caplog.text) == (expected[0] != "MALI:0")


def test_the_cpus_form_runs_where_nothing_else_can(
    module: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = compiled(module, tmp_path, "MALI:0")
    assert "fallback/fallback.meta" in files(made)
    with pytest.raises(rt.DeviceAbsent, match="devices that are not here"):
        rt.Context().load_model(made.path)
    with caplog.at_level(logging.WARNING):
        model = rt.Context().load_model(made.path, fallback=True)
    assert chosen(model) == ("MALI:0", "llvm", True)
    assert model.subgraph_info[0].runs_on == "X64:0, in the form that llvm compiled for it"
    assert "there is no simulator of MALI:0" in caplog.text and "MALI:0 is absent" in caplog.text
    assert_right(model, module)


def test_a_transfer_is_what_it_is_between_the_chosen_devices(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, "MALI:0")

    def kinds() -> list[str]:
        request = rt.Context().load_model(made.path, fallback=True).create_request()
        request.set_inputs(X.numpy())
        request.infer()
        request.wait()
        return [t.kind for t in request.profile_data.transfers]

    assert kinds() == ["alias"]
    STATE.here = {"MALI:0"}
    assert kinds() == ["copy"]


def test_a_simulator_comes_before_the_cpus_form(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, ["MALI:0", "ADRENO:0"])
    STATE.simulator = True
    model = rt.Context().load_model(made.path, fallback=True)
    assert chosen(model) == ("MALI:0", "plugged", True)
    assert model.subgraph_info[0].runs_on == "a simulator of the test's"
    assert_right(model, module)


def test_simulate_runs_the_first_choice_although_the_cpu_is_in_the_list(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, ["MALI:0", "X64:0", "ADRENO:0"])
    STATE.simulator = True
    assert chosen(rt.Context().load_model(made.path, fallback=True)) == ("X64:0", "llvm", False)
    model = rt.Context().load_model(made.path, simulate=True)
    assert chosen(model) == ("MALI:0", "plugged", True)
    assert_right(model, module)
    assert optima.verify(module, made.path, [(X,)], simulate=True).ok
    STATE.simulator = False  # no simulator: the list goes on
    assert chosen(rt.Context().load_model(made.path, simulate=True)) == ("X64:0", "llvm", False)


def test_a_board_s_folder_can_be_verified_elsewhere(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, "MALI:0")
    with pytest.raises(rt.DeviceAbsent):
        optima.verify(module, made.path, [(X,)])
    assert optima.verify(module, made.path, [(X,)], fallback=True).ok


def test_a_device_that_is_here_and_refuses_is_passed_over(
    module: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = compiled(module, tmp_path, LIST)
    STATE.here = STATE.broken = {"MALI:0"}
    with caplog.at_level(logging.WARNING):
        model = rt.Context().load_model(made.path)
    assert chosen(model) == ("X64:0", "llvm", False)
    assert "subgraph_0 cannot run on MALI:0: the driver of MALI:0 is too old" in caplog.text
    assert_right(model, module)


def test_with_nothing_left_every_reason_is_told(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, ["MALI:0", "ADRENO:0"], cpu_fallback=False)
    with pytest.raises(rt.DeviceAbsent) as error:
        rt.Context().load_model(made.path, fallback=True)
    assert [(p.subject, p.reason) for p in error.value.problems] == [
        ("a simulator of MALI:0", "there is no simulator of MALI:0"),
        ("a simulator of ADRENO:0", "there is no simulator of ADRENO:0"),
        ("the CPU", "compiled with cpu_fallback=False"),
    ]
    STATE.here = STATE.broken = {"MALI:0"}
    with pytest.raises(error_class("NotUsableHere"), match="the driver of MALI:0 is too old"):
        rt.Context().load_model(compiled(module, tmp_path, "MALI:0").path)


def test_without_a_cpu_form_the_manifest_says_why(module: nn.Module, tmp_path: Path) -> None:
    STATE.refuses = {("X64", "relu")}
    made = compiled(module, tmp_path, "MALI:0", backends={**BACKENDS, "X64": "plugged"})
    part = json.loads((made.path / "model.meta").read_bytes())["subgraphs"][0]
    assert part["fallback"] is None
    assert part["no_fallback"].startswith("X64:0 cannot run relu_") and "(not today)" in part["no_fallback"]


def test_the_cpu_form_is_checked_against_this_cpu(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, "MALI:0", "MALI:0")
    path = made.path / "model.meta"
    meta = json.loads(path.read_bytes())
    meta["subgraphs"][0]["fallback"]["target"]["features"].append("teleport")
    path.write_bytes(json_bytes(meta))
    with pytest.raises(rt.DeviceAbsent) as error:
        rt.Context().load_model(made.path, fallback=True)
    assert [p.subject for p in error.value.problems] == ["a simulator of MALI:0", "X64:0 in its place"]


def test_a_device_that_vanishes_is_named_with_its_subgraph(module: nn.Module, tmp_path: Path) -> None:
    made = compiled(module, tmp_path, "MALI:0")
    STATE.here = {"MALI:0"}
    request = rt.Context().load_model(made.path).create_request()
    request.set_inputs(X.numpy())
    STATE.vanished = RuntimeError("VK_ERROR_DEVICE_LOST")
    request.infer()
    with pytest.raises(rt.SubgraphFailed, match="subgraph_0 failed on MALI:0: RuntimeError: VK_ERROR_DEVICE_LOST"):
        request.wait()
    STATE.vanished = error_class("DeviceFailed")("the device was lost", hint="plug it in")
    request.infer()
    with pytest.raises(error_class("DeviceFailed"), match="subgraph_0 failed on MALI:0: the device was lost") as error:
        request.wait()
    assert error.value.hint == "plug it in"
    STATE.vanished = None
    request.infer()
    assert request.wait() is False


def test_what_one_request_needs_counts_the_largest_form(module: nn.Module, tmp_path: Path) -> None:
    plain = compiled(module, tmp_path / "plain", "MALI:0", "MALI:0", cpu_fallback=False)
    both = compiled(module, tmp_path / "both", "MALI:0", "MALI:0")
    arena = json.loads((both.path / "Subgraph_0/fallback/fallback.meta").read_bytes())["arena_bytes"]
    sizes = [json.loads((m.path / "model.meta").read_bytes())["request_bytes"] for m in (plain, both)]
    assert arena > 0 and sizes[1] - sizes[0] == arena


def test_dumps_of_further_forms_have_folders_of_their_own(module: nn.Module, tmp_path: Path) -> None:
    compiled(module, tmp_path, LIST, dump_dir=tmp_path / "dumps")
    dumped = {p.relative_to(tmp_path / "dumps").parts[0] for p in (tmp_path / "dumps").rglob("00_traced.txt")}
    assert dumped == {"alternative_1", "subgraph_1"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda part: part["alternatives"][0].update(devices=["TPU:0"]), "for TPU:0, which its list does not hold"),
        (lambda part: part["alternatives"][0].update(folder="Subgraph_0"), "'Subgraph_0' occurs 2 times"),
        (lambda part: part["alternatives"][0].update(folder="../x"), "'..' part"),
        (lambda part: part["alternatives"][0].update(folder="Subgraph_0/other"), "other.meta is not listed"),
        (lambda part: part["alternatives"][0].update(devices=[]), "has no device"),
        (lambda part: part["alternatives"][0].update(speed=1), "Extra inputs are not permitted"),
    ],
)
def test_forms_that_contradict_the_subgraph_are_refused(
    module: nn.Module, tmp_path: Path, change: Any, match: str
) -> None:
    path = compiled(module, tmp_path, LIST).path
    meta = json.loads((path / "model.meta").read_bytes())
    change(meta["subgraphs"][0])
    (path / "model.meta").write_bytes(json_bytes(meta))
    with pytest.raises(rt.ArtifactError, match=match):
        rt.Context().load_model(path)


def test_devices_of_every_kind_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"TPU:0", "TPU:1", "MALI:0"}
    monkeypatch.setattr("optima.backends.edgetpu.load.present", lambda device: str(device) in here)
    monkeypatch.setattr("optima.backends.spirv.load.present_for", lambda device, target: str(device) in here)
    found = rt.Context().available_devices
    assert found[0] == DeviceRef(DeviceEnum.DEVICE_KIND_X64, 0)
    assert {str(device) for device in found[1:]} == here
