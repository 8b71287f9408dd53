"""One model over many kinds of device at once: ``python -m examples.many_devices encoder ADRENO MYRIAD HEXAGON X64``.

The ops are dealt out in runs, one for each kind. What a kind cannot take goes where the refusal's own patch says. The
folder is then run here, with simulators for the devices that are absent, and compared with eager PyTorch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import CompiledModel, Manager
from optima.quantise import sqnr_db
from torch2nx.converter import Torch2GraphConverter

#: as many typical inputs as kinds that quantise are calibrated with
_SAMPLES = 8


@dataclass(frozen=True)
class Result:
    """What came out: the folder, where its subgraphs ran, and how near to eager the outputs are.

    ``error``: largest difference relative to the output's largest magnitude; ``sqnr_db``: signal to noise.
    """

    compiled: CompiledModel
    placed: tuple[tuple[str, str], ...]
    error: float
    sqnr_db: float


def deal(names: Sequence[str], kinds: Sequence[str]) -> dict[str, str]:
    """Runs of equal length, one for each kind; the last takes what is left."""
    size = max(1, len(names) // len(kinds))
    return {name: f"{kinds[min(k // size, len(kinds) - 1)]}:0" for k, name in enumerate(names)}


def compile_and_compare(key: str, kinds: Sequence[str], folder: Path) -> Result:
    """Trace a model of ``examples.models``, compile it over the kinds into ``folder``, run it, compare it."""
    module, inputs = MODELS[key]()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(inputs), gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    samples = [tuple(torch.rand_like(x) for x in inputs) for _ in range(_SAMPLES)]
    placement, path = deal(names, kinds), folder / f"{key}.json"
    allowed = [DeviceEnum(kind) for kind in dict.fromkeys((*kinds, "X64"))]
    path.write_text(json.dumps(placement))
    try:
        optima.check(allowed, graph, path, sample_inputs=samples)
    except optima.errors.UnsupportedPlacement as refused:
        placement |= {name: device for name, device in refused.patch.items() if device is not None}
        path.write_text(json.dumps(placement))
    compiled = Manager().optimize(key, allowed, graph, folder, path, samples, progress=False)
    model = rt.Context(rt.LogLevel.ERROR).load_model(compiled.path, fallback=True)
    with torch.no_grad():
        wanted = module(*samples[0])
    leaves = [wanted] if isinstance(wanted, torch.Tensor) else list(wanted)
    got = model.run_flat(model.flatten_inputs(samples[0]))
    pairs = [(w.numpy(), g) for w, g in zip(leaves, got, strict=True)]
    placed = tuple((str(s.device), s.runs_on or s.backend) for s in model.subgraph_info)
    error = max(float(np.abs(w - g).max() / max(np.abs(w).max(), 1e-30)) for w, g in pairs)
    return Result(compiled, placed, error, min(sqnr_db(w, g) for w, g in pairs))


def main() -> int:
    """Do it for the model and the kinds of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="encoder", choices=sorted(MODELS))
    parser.add_argument("kinds", nargs="*", default=["MYRIAD", "X64"], metavar="KIND", help="MYRIAD, X64, ...")
    given = parser.parse_args()
    try:
        kinds = [DeviceEnum(kind).value for kind in given.kinds]
    except ValueError as error:
        parser.error(f"{error}; there are {', '.join(kind.value for kind in DeviceEnum)}")
    folder = Path("outputs")
    folder.mkdir(exist_ok=True)
    result = compile_and_compare(given.model, kinds, folder)
    print(result.compiled)
    for device, runs_on in result.placed:
        print(f"  {device}: {runs_on}")
    print(f"error {result.error:.1e} of the output's scale, {result.sqnr_db:.1f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
