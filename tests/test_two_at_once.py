"""Two processes compile into one folder at the same time: both end well, and the folder is one of theirs, whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import optima.runtime as rt

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import json, sys
from pathlib import Path
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

folder, number = Path(sys.argv[1]), int(sys.argv[2])
module, samples = MODELS["two_in_two_out"]()
graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
path = folder / f"map{number}.json"
path.write_text(json.dumps({n: f"X64:{i % number}" for i, n in enumerate(ops)}))
for _ in range(4):
    Manager().optimize("Model", [DeviceEnum.DEVICE_KIND_X64], graph, folder / "out", path, progress=False)
"""


def test_two_compiles_into_one_folder(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), str(n)], cwd=ROOT, stderr=subprocess.PIPE)
        for n in (1, 2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()
    model = rt.Context().load_model(tmp_path / "out" / "Model")
    result = model(np.zeros((2, 8), np.float32), np.zeros((2, 8), np.float32))
    assert set(result) == {"logits", "energy"}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["Model"]
