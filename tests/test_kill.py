"""``kill -9`` at random moments of ``optimize``: the old folder or the new one, whole; the cache sound."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from optima.artifact.reader import read_model

ROOT = Path(__file__).resolve().parent.parent
KILLS = 50

#: A warm parent forks one child per line of input; the child compiles over and over, changing the map each time, until
#: it is killed; told "cold", it empties the cache first. The parent prints the child's process id.
PROGRAM = """
import json, os, shutil, sys, time
from pathlib import Path
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

folder = Path(sys.argv[1])
module, samples = MODELS["two_in_two_out"]()
graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]

def compile_once(turn):
    path = folder / f"map{turn % 2}.json"
    path.write_text(json.dumps({n: f"X64:{i % (turn % 2 + 1)}" for i, n in enumerate(ops)}))
    Manager().optimize("Model", [DeviceEnum.DEVICE_KIND_X64], graph, folder / "out", path, progress=False)

compile_once(0)
compile_once(1)
start = time.perf_counter()
compile_once(0)
compile_once(1)
print(time.perf_counter() - start, flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        if line.strip() == "cold":
            shutil.rmtree(folder / "cache", ignore_errors=True)
        for turn in range(1, 1000):
            compile_once(turn)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def test_killed_at_random_moments(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPTIMA_CACHE_DIR": str(tmp_path / "cache")}
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert parent.stdin is not None and parent.stdout is not None
    rng = random.Random(0)
    seen = []
    try:
        two_compiles_s = float(parent.stdout.readline())
        for turn in range(KILLS):
            cold = turn % 10 == 5
            parent.stdin.write("cold\n" if cold else "warm\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            time.sleep(rng.uniform(0.0, 5.0 if cold else 2 * two_compiles_s))
            os.kill(child, signal.SIGKILL)
            artifact = read_model(tmp_path / "out" / "Model")
            for index in range(len(artifact.meta.subgraphs)):
                artifact.subgraph_view(index)
            seen.append(len(artifact.meta.subgraphs))
    finally:
        parent.stdin.close()
        parent.wait(timeout=60)
    assert set(seen) == {1, 4}, f"one of the versions was never seen: {seen}"
    leftovers = [p.name for p in (tmp_path / "out").iterdir() if p.name != "Model" and not p.name.endswith(".lock")]
    final = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment, input="", capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert final.returncode == 0, final.stderr
    after = [p.name for p in (tmp_path / "out").iterdir() if p.name != "Model" and not p.name.endswith(".lock")]
    assert not after, f"left behind: {leftovers}, and then {after}"
