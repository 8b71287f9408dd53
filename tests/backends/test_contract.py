"""Backends that misbehave on purpose: one typed error that names them, and the previous folder stays whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optima
from devices import DeviceEnum
from examples.models import MODELS
from optima import backends
from optima.manager import Manager
from tests.backends.naughty.backend import FAULT
from torch2nx.converter import Torch2GraphConverter

X64 = DeviceEnum.DEVICE_KIND_X64


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Path]:
    if "naughty" not in backends.backend_names():
        backends.register("naughty", "tests.backends.naughty")
    folder = tmp_path_factory.mktemp("naughty")
    module, samples = MODELS["two_in_two_out"]()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (folder / "map.json").write_text(json.dumps(dict.fromkeys(names, "X64:0")))
    return graph, folder / "out", folder / "map.json"


@pytest.fixture(autouse=True)
def behave() -> Iterator[None]:
    yield
    FAULT["name"] = ""


def compile_with(job: tuple[Any, Path, Path], backend: str) -> Any:
    graph, out, map_path = job
    return Manager().optimize("Model", [X64], graph, out, map_path, backends={"X64": backend})


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("forgets an op", "naughty.*check"),
        ("answers with a bool", "naughty.*check"),
        ("plan raises", "naughty.*plan.*no such table"),
        ("key is short", "naughty.*plan"),
        ("job raises", "fell over"),
        ("job is killed", "killed"),
        ("job returns text", "subgraph_0"),
        ("job is nowhere", "subgraph_0"),
        ("file outside", "evil"),
        ("meta is not JSON", "naughty.*link"),
        ("link returns nothing", "naughty.*link"),
    ],
)
def test_a_fault_is_named_and_nothing_is_lost(job: tuple[Any, Path, Path], fault: str, match: str) -> None:
    FAULT["name"] = ""
    root = compile_with(job, "naughty").path
    before = {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    FAULT["name"] = fault
    with pytest.raises(optima.OptimaError, match=match) as caught:
        compile_with(job, "naughty")
    assert caught.value.hint
    assert {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()} == before


def test_null_compiles_and_refuses_to_run(job: tuple[Any, Path, Path]) -> None:
    import optima.runtime as rt

    path = compile_with(job, "null").path
    model = rt.Context().load_model(path)
    with pytest.raises(optima.OptimaError, match="null"):
        model.run([np.zeros((2, 8), np.float32)] * 2)


def test_reference_equals_eager(job: tuple[Any, Path, Path]) -> None:
    module, samples = MODELS["two_in_two_out"]()
    path = compile_with(job, "reference").path
    report = optima.verify(module, path, [samples])
    assert report.ok and report.largest_error < 1e-6


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(optima.UserError, match="llvm"):
        backends.register("llvm", "somewhere")
