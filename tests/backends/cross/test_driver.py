"""examples/c on this machine: it runs a compiled subgraph from C, and says what went wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import optima.runtime as rt
from conformance.qemu import BUILD_FLAGS, SOURCES
from devices import DeviceEnum
from examples.c.write_plan import write_plan
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    sources = [str(SOURCES / "host.c"), str(SOURCES / "run_plan.c")]
    subprocess.run(["cc", *BUILD_FLAGS, "-o", "run_plan", *sources, "-ldl"], cwd=folder, check=True)
    return folder / "run_plan"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    module, samples = MODELS["two_in_two_out"]()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (folder / "map.json").write_text(json.dumps(dict.fromkeys(names, "X64:0")))
    kinds = [DeviceEnum.DEVICE_KIND_X64]
    return Manager().optimize("Model", kinds, graph, folder, folder / "map.json").path


def run(driver: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([driver, "plan.txt"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_subgraph_gives_what_the_runtime_gives(driver: Path, model: Path, tmp_path: Path) -> None:
    inputs = [np.random.default_rng(i).standard_normal((2, 8)).astype(np.float32) for i in range(2)]
    plan = write_plan(model, "subgraph_0", tmp_path)
    meta = json.loads((model / "Subgraph_0" / "subgraph_0.meta").read_text())
    for name, array in zip(meta["inputs"], inputs, strict=True):
        (tmp_path / f"{name}.in").write_bytes(array.tobytes())
    done = run(driver, plan.parent)
    assert (done.returncode, done.stdout) == (0, "")
    request = rt.Context().load_model(model).create_request()
    request.set_inputs(inputs)
    request.infer()
    request.wait(0)
    wanted = request.get_outputs()
    shapes = {b["name"]: b["shape"] for b in meta["buffers"]}
    for name, want in zip(meta["outputs"], wanted, strict=True):
        got = np.frombuffer((tmp_path / f"{name}.out").read_bytes(), np.float32).reshape(shapes[name])
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("tensor 2 32 2 2 8", "tensor 2 32 2 2 9"), "read: the file has another size"),
        (("tensor 2 32 2 2 8", "tensor 2 64 2 2 8"), "read: the file has another size"),
        (("tensor 2 32 2 2 8", "tensor 2 32 2 4 4"), "call: "),
        (("__tvm_ffi_", "__no_such_"), "call: "),
        (("call", "jump"), "jump: there is no such step"),
        (("view 0 ", "view 0 6400"), "view: the view is not inside its owner"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_said(edit: tuple[str, str], said: str, driver: Path, model: Path, tmp_path: Path) -> None:
    plan = write_plan(model, "subgraph_0", tmp_path)
    meta = json.loads((model / "Subgraph_0" / "subgraph_0.meta").read_text())
    for name in meta["inputs"]:
        (tmp_path / f"{name}.in").write_bytes(bytes(64))
    text = plan.read_text()
    assert edit[0] in text
    plan.write_text(text.replace(*edit) + "begin second\ntensor 2 32 0\n")
    done = run(driver, tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"failed subgraph_0: {said}") and done.stdout.count("\n") == 1
