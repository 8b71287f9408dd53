"""Compile ResNet-18: cold, warm (all kernels cached), and after moving one op on the map; seconds per phase.

python -m benchmarks.compile [--model resnet18] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Trace once, then compile three times with a cache of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(arguments.model, Path(scratch))
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    phases = list(rows["cold"])
    print("phase      " + "".join(f"{name:>14}" for name in rows))
    for phase in phases:
        print(f"{phase:<11}" + "".join(f"{row.get(phase, 0.0):>13.2f}s" for row in rows.values()))


def measure(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds by phase for each of the runs; ``trace`` is torch2nx's part, once."""
    os.environ["OPTIMA_CACHE_DIR"] = str(folder / "cache")
    from devices import DeviceEnum
    from examples.models import MODELS
    from optima.manager import Manager
    from torch2nx.converter import Torch2GraphConverter

    module, samples = MODELS[name]()
    start = time.perf_counter()
    tracer = Torch2GraphConverter()
    graph = tracer.convert(model=module, fake_torch_data=list(samples), gpu=False)
    gpickle, map_path = folder / "model.gpickle", folder / "map.json"
    tracer.export_to_gpickle(gpickle, graph)
    traced = time.perf_counter() - start
    Torch2GraphConverter.get_onedevice_allocator(map_path, "X64", gpickle)
    rows: dict[str, dict[str, float]] = {}
    for label in ("cold", "warm", "one op moved"):
        if label == "one op moved":
            placement = json.loads(map_path.read_text())
            placement[list(placement)[-1]] = "X64:1"
            map_path.write_text(json.dumps(placement))
        start = time.perf_counter()
        compiled = Manager().optimize(
            "Model", [DeviceEnum.DEVICE_KIND_X64], gpickle, folder / "out", map_path, progress=False
        )
        total = time.perf_counter() - start
        rows[label] = {"trace": traced if label == "cold" else 0.0, **compiled.report.phase_seconds}
        rows[label]["total"] = total + rows[label]["trace"]
    return rows


if __name__ == "__main__":
    main()
