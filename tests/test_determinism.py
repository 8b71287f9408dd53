"""Two compiles of one model: other PYTHONHASHSEED, working folder, worker count and cache, the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import json, sys
from pathlib import Path
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

name, folder, workers, shuffle = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"
module, samples = MODELS[name]()
tracer = Torch2GraphConverter()
graph = tracer.convert(model=module, fake_torch_data=list(samples), gpu=False)
tracer.export_to_gpickle(folder / "g.gpickle", graph)
ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
items = [(n, f"X64:{i % 2}") for i, n in enumerate(ops)]
(folder / "m.json").write_text(json.dumps(dict(reversed(items) if shuffle else items)))
Manager().optimize("Model", [DeviceEnum.DEVICE_KIND_X64], folder / "g.gpickle", folder / "out", folder / "m.json",
                   workers=workers)
"""


def compile_in(folder: Path, name: str, hash_seed: int, workers: int) -> dict[str, bytes]:
    folder.mkdir()
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": str(ROOT),
        "OPTIMA_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-c", PROGRAM, name, str(folder), str(workers), str(hash_seed % 2)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = {"g.gpickle": (folder / "g.gpickle").read_bytes()}
    root = folder / "out" / "Model"
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != "report.json":
            files[str(path.relative_to(root))] = path.read_bytes()
    return files


def test_the_same_bytes_whatever_the_process(tmp_path: Path) -> None:
    first = compile_in(tmp_path / "a", "face_detector", hash_seed=1, workers=1)
    second = compile_in(tmp_path / "b", "face_detector", hash_seed=2, workers=2)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert not [name for name, data in first.items() if str(tmp_path).encode() in data]
