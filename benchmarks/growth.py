"""How compile time grows: chains of convolutions that all differ, and chains of equal ones.

    python -m benchmarks.growth [--json]

Each compile has an empty cache and one worker. Different kernels should take the same time each, however many there
are; equal ones should be compiled once.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

LENGTHS = (8, 16, 32, 64)


def main() -> None:
    """Compile every chain, then print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    compile_s(chain(1, equal=True), 8)  # imports and the worker's start do not count
    rows = [row(length, equal) for equal in (False, True) for length in LENGTHS]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'chain':<12}{'convs':>7}{'kernels':>9}{'seconds':>9}{'s/kernel':>10}")
    for r in rows:
        print(f"{r['chain']:<12}{r['convs']:>7}{r['kernels']:>9}{r['seconds']:>9.2f}{r['seconds_per_kernel']:>10.3f}")


def chain(length: int, *, equal: bool) -> nn.Module:
    """``length`` 3x3 convolutions with relu; of as many widths, or of one."""
    widths = [16] * (length + 1) if equal else [16 + i for i in range(length + 1)]
    layers: list[nn.Module] = []
    for cin, cout in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers).eval()


def row(length: int, equal: bool) -> dict[str, Any]:
    """One chain's counts and times."""
    seconds, kernels = compile_s(chain(length, equal=equal), 16)
    return {
        "chain": "equal" if equal else "different",
        "convs": length,
        "kernels": kernels,
        "seconds": seconds,
        "seconds_per_kernel": seconds / kernels,
    }


def compile_s(module: nn.Module, size: int) -> tuple[float, int]:
    """Seconds of ``optimize`` on a graph that is traced already, and how many kernels were compiled."""
    from devices import DeviceEnum
    from optima.manager import Manager
    from torch2nx.converter import Torch2GraphConverter

    channels = next(module.parameters()).shape[1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["OPTIMA_CACHE_DIR"] = str(folder / "cache")
        tracer = Torch2GraphConverter()
        graph = tracer.convert(model=module, fake_torch_data=[torch.rand(1, channels, size, size)])
        tracer.export_to_gpickle(folder / "chain.gpickle", graph)
        tracer.get_onedevice_allocator(folder / "map.json", "X64", folder / "chain.gpickle")
        start = time.perf_counter()
        compiled = Manager().optimize(
            "Chain", [DeviceEnum.DEVICE_KIND_X64], folder / "chain.gpickle", folder, folder / "map.json",
            workers=1, progress=False,
        )  # fmt: skip
        return time.perf_counter() - start, compiled.report.kernels_compiled


if __name__ == "__main__":
    main()
