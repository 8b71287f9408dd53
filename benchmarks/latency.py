"""ResNet-18 and MobileNetV2 beside eager PyTorch: one run, interleaved, f32, medians, equal thread counts.

    python -m benchmarks.latency [--threads 1 2] [--repeats 40] [--models resnet18 mobilenet_v2] [--json]

Also measures the cold start: ``load_model`` plus the first inference, in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLD_START = """
import sys, time
import numpy as np
start = time.perf_counter()
import optima.runtime as rt
imported = time.perf_counter()
model = rt.Context().load_model(sys.argv[1])
loaded = time.perf_counter()
inputs = [np.zeros(t.shape, t.dtype) for t in model.meta.inputs]
first = time.perf_counter()
model(*inputs)
print(imported - start, loaded - imported, time.perf_counter() - first)
"""


def compile_model(name: str, folder: Path) -> tuple[Any, tuple[Any, ...], Path]:
    """Trace and compile a model of ``examples.models`` for X64:0; (module, samples, model folder)."""
    from devices import DeviceEnum
    from examples.models import MODELS
    from optima.manager import Manager
    from torch2nx.converter import Torch2GraphConverter

    module, samples = MODELS[name]()
    tracer = Torch2GraphConverter()
    graph = tracer.convert(model=module, fake_torch_data=list(samples), gpu=False)
    gpickle, map_path = folder / f"{name}.gpickle", folder / f"{name}.json"
    tracer.export_to_gpickle(gpickle, graph)
    Torch2GraphConverter.get_onedevice_allocator(map_path, "X64", gpickle)
    compiled = Manager().optimize(name, [DeviceEnum.DEVICE_KIND_X64], gpickle, folder, map_path)
    return module, samples, compiled.path


def interleaved(runs: dict[str, Callable[[], object]], repeats: int, warmup: int = 5) -> dict[str, list[float]]:
    """Seconds per run, the candidates taking turns. A pause lets the other side's spinning threads sleep."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(repeats + warmup):
        for name, run in runs.items():
            time.sleep(0.01)
            run()  # its own caches and threads are warm, whoever ran before
            start = time.perf_counter()
            run()
            if round_number >= warmup:
                times[name].append(time.perf_counter() - start)
    return times


def measure(name: str, threads: int, repeats: int) -> dict[str, Any]:
    """One model at one thread count, in this process."""
    import torch

    import optima.runtime as rt

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as scratch:
        module, samples, path = compile_model(name, Path(scratch))
        model = rt.Context(threads=threads).load_model(path)
        arrays = [s.numpy() for s in samples]

        def eager() -> object:
            with torch.inference_mode():
                return module(*samples)

        times = interleaved({"optima": lambda: model(*arrays), "eager": eager}, repeats)
        cold = subprocess.run([sys.executable, "-c", COLD_START, str(path)], capture_output=True, text=True, check=True)
    ours, theirs = statistics.median(times["optima"]), statistics.median(times["eager"])
    imports, load, first = map(float, cold.stdout.split())
    return {
        "model": name, "threads": threads, "optima_ms": ours * 1e3, "eager_ms": theirs * 1e3,
        "ratio": ours / theirs, "import_ms": imports * 1e3, "load_ms": load * 1e3, "first_ms": first * 1e3,
    }  # fmt: skip


def main() -> None:
    """Each (model, threads) in a process of its own, so that both sides' pools start afresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--models", nargs="+", default=["resnet18", "mobilenet_v2"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", action="store_true", help="measure the first model and thread count here")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.models[0], arguments.threads[0], arguments.repeats)))
        return
    rows = []
    for name in arguments.models:
        for threads in arguments.threads:
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            command = [sys.executable, "-m", "benchmarks.latency", "--one", "--models", name]
            command += ["--threads", str(threads), "--repeats", str(arguments.repeats)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print("model          threads  optima ms  eager ms  ratio   import ms  load ms  first run ms")
    for r in rows:
        print(
            f"{r['model']:<14} {r['threads']:>7}  {r['optima_ms']:>9.2f}  {r['eager_ms']:>8.2f}  {r['ratio']:>5.2f}"
            f"  {r['import_ms']:>10.0f}  {r['load_ms']:>7.0f}  {r['first_ms']:>12.1f}"
        )


if __name__ == "__main__":
    main()
