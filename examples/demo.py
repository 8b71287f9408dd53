"""The main job on two models: trace, map, picture, compile, run, compare with PyTorch. ``make demo`` runs it."""

from __future__ import annotations

import inspect
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import devices
import optima
import optima.runtime as rt
from examples.models import MODELS
from optima.manager import Manager
from torch2nx import converter

OUTPUTS = Path(__file__).resolve().parent.parent / "outputs"


def alternate(template: dict[str, str]) -> dict[str, str]:
    """The first half of the ops on X64:0, the second on X64:1."""
    names = list(template)
    return {name: "X64:0" if i < (len(names) + 1) // 2 else "X64:1" for i, name in enumerate(names)}


def median_ms(run: Callable[[], object], repeats: int = 20) -> float:
    """Median time of ``run`` in milliseconds, after three warm-up calls."""
    for _ in range(3):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def demonstrate(name: str, key: str) -> bool:
    """Do the whole job for one model; True if the compiled model equals PyTorch."""
    print(f"\n=== {name}")
    model, samples = MODELS[key]()
    folder = OUTPUTS / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    gpickle, map_path = folder / f"{name}.gpickle", folder / f"{name}.json"

    tracer = converter.Torch2GraphConverter()
    graph = tracer.convert(model=model, fake_torch_data=list(samples), gpu=False)
    tracer.reset_module()
    tracer.export_to_gpickle(gpickle, graph)
    arguments = inspect.signature(model.forward).parameters
    np.savez(folder / f"{name}.npz", **{a: np.stack([s, s.flip(-1)]) for a, s in zip(arguments, samples, strict=True)})
    converter.Torch2GraphConverter.get_onedevice_allocator(map_path, "X64", gpickle)
    map_path.write_text(json.dumps(alternate(json.loads(map_path.read_text())), indent=1))
    try:
        tracer.plot_network(folder, name, map_path, figsizenum=10)
        print(f"picture: {folder / name}.png")
    except devices.OptimaError as error:
        print(f"picture left out: {error}")

    compiled = Manager().optimize(name, [devices.DeviceEnum.DEVICE_KIND_X64], gpickle, OUTPUTS, map_path)
    print(compiled)

    report = optima.verify(model, compiled.path, [samples])
    print(report)

    loaded = rt.Context().load_model(compiled.path)
    arrays = [s.numpy() for s in samples]
    ours = median_ms(lambda: loaded(*arrays))
    with torch.no_grad():
        eager = median_ms(lambda: model(*samples))
    print(f"latency {ours:.2f} ms, eager PyTorch {eager:.2f} ms (medians, {torch.get_num_threads()} threads)")
    print(f"largest error {report.largest_error:.1e} of the output's scale; files in {compiled.path}")
    return report.ok


def main() -> int:
    """Run the demo; the exit status is 0 if both models equal PyTorch."""
    results = [demonstrate("SampleModel", "sample"), demonstrate("ResNet18", "resnet18")]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
