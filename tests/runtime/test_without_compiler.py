"""A compiled model runs in a process in which torch, tvm and networkx cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

PROGRAM = """
import sys
for name in ("torch", "tvm", "tvm_ffi", "networkx", "rich", "typer", "hypothesis"):
    sys.modules[name] = None
import numpy as np
import optima.runtime as rt
model = rt.Context().load_model(sys.argv[1])
inputs = np.load(sys.argv[2])
request = model.create_request()
request.set_inputs([inputs[k] for k in inputs.files])
request.infer()
assert request.wait(60000) is False
np.savez(sys.argv[3], *request.get_outputs())
"""


@pytest.mark.parametrize("name", ["face_detector", "lstm"])
def test_it_runs_and_equals_eager(name: str, tmp_path: Path) -> None:
    module, samples = MODELS[name]()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
    ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (tmp_path / "m.json").write_text(json.dumps({n: f"X64:{i * 3 // len(ops)}" for i, n in enumerate(ops)}))
    path = Manager().optimize(name, [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path, tmp_path / "m.json").path
    np.savez(tmp_path / "in.npz", *(s.numpy() for s in samples))
    command = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    with torch.no_grad():
        expected = module(*samples)
    for want, key in zip(expected, found.files, strict=True):
        got = found[key]
        assert np.abs(want.numpy() - got).max() <= 1e-4 * np.abs(want.numpy()).max()
