"""Time of ``convert()`` beside ``torch.export.export`` of the same module, interleaved in one run.

    python -m benchmarks.convert [--json] [--runs 15]

The ratio says what reading the trace, making it functional, folding, and building the graph cost on top of the
export that ``convert`` itself calls. "view writer" assigns to slices, which needs torch's own functionalisation.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import BertBase, ResNet50, ViewWriter
from torch2nx.converter import Torch2GraphConverter

MODELS: dict[str, Callable[[], tuple[torch.nn.Module, tuple[torch.Tensor, ...]]]] = {
    "ResNet-50": lambda: (ResNet50(), (torch.rand(1, 3, 224, 224),)),
    "BERT-base": lambda: (
        BertBase(),
        (torch.randint(0, 30522, (1, 128)), torch.ones(1, 128, dtype=torch.int64)),
    ),
    "view writer": lambda: (ViewWriter(), (torch.rand(1, 32, 56, 56),)),
}


def main() -> None:
    """Measure, then print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [measure(name, arguments.runs) for name in MODELS]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'model':<14}{'ops':>6}{'export ms':>12}{'convert ms':>12}{'ratio':>8}")
    for row in rows:
        print(
            f"{row['model']:<14}{row['ops']:>6}{row['export_ms']:>12.0f}{row['convert_ms']:>12.0f}{row['ratio']:>8.2f}"
        )


def measure(name: str, runs: int) -> dict[str, Any]:
    """Medians of one model over ``runs`` after one of each that does not count; the ratio is that of pairs."""
    torch.manual_seed(0)
    module, args = MODELS[name]()
    module.eval()
    export_s: list[float] = []
    convert_s: list[float] = []
    ops = 0
    for run in range(runs + 1):
        exporting, _ = _timed(lambda: torch.export.export(module, args, strict=False))
        converting, graph = _timed(lambda: Torch2GraphConverter().convert(model=module, fake_torch_data=list(args)))
        ops = sum(1 for _, data in graph.nodes(data="data") if data["kind"] == "OpNode")
        if run:
            export_s.append(exporting)
            convert_s.append(converting)
    return {
        "model": name,
        "ops": ops,
        "export_ms": 1e3 * statistics.median(export_s),
        "convert_ms": 1e3 * statistics.median(convert_s),
        "ratio": statistics.median(c / e for c, e in zip(convert_s, export_s, strict=True)),
    }


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
