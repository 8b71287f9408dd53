"""A case compiled under several maps beside eager PyTorch."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import optima.runtime as rt
from devices import DeviceEnum
from optima.manager import Manager
from tests.models.random_modules.programs import Case, Program, Step
from torch2nx.converter import Torch2GraphConverter

#: relative to the scale of an output; eager float32's own distance from float64 comes on top, a few times
TOLERANCE = 1e-4


def difference(case: Case, seed: int = 0, maps: Sequence[str] = ("one", "alternating", "random")) -> str:
    """Why the compiled case differs from eager PyTorch under one of the maps, or "" where it does not."""
    module = case.module()
    with torch.no_grad():
        expected = [t.numpy() for t in module(*(t.clone() for t in case.inputs))]
    allowed = _allowed(case, expected)
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=[t.clone() for t in case.inputs], gpu=False)
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    found: dict[str, list[Any]] = {}
    for label in maps:
        with tempfile.TemporaryDirectory(prefix="optima-random-") as folder:
            path = Path(folder) / "map.json"
            path.write_text(json.dumps(_placement(label, names, seed)))
            kinds = [DeviceEnum.DEVICE_KIND_X64]
            made = Manager().optimize("case", kinds, graph, folder, path, progress=False)
            result = rt.Context().load_model(made.path)(*(t.numpy() for t in case.inputs))
            found[label] = [np.array(r) for r in (result if isinstance(result, list | tuple) else [result])]
    for label, results in found.items():
        for i, (want, got, most) in enumerate(zip(expected, results, allowed, strict=True)):
            why = _unequal(want, got, most)
            if why:
                return f"map {label}, output {i} (v{case.returned[i]}): {why}"
    for label, results in found.items():
        for i, (one, other, most) in enumerate(zip(found[maps[0]], results, allowed, strict=True)):
            why = _unequal(one, other, most)
            if why:
                return f"map {label} against {maps[0]}, output {i}: {why}"
    return ""


def _placement(label: str, names: Sequence[str], seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    devices: dict[str, Iterator[int]] = {
        "one": itertools.repeat(0),
        "alternating": itertools.cycle([0, 1]),
        "random": iter(lambda: rng.randrange(3), -1),
    }
    return {n: f"X64:{next(devices[label])}" for n in names}


def _allowed(case: Case, expected: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    """How far each output may be off: TOLERANCE of its scale, and what float32 itself loses, a few times."""
    wide = [Step(s.text, _widened(s.call), s.reads) for s in case.steps]
    exact: Sequence[Any] = expected
    try:
        with torch.no_grad():
            values = [t.double() if t.is_floating_point() else t for t in case.inputs]
            exact = [t.numpy() for t in Program(len(values), wide, case.returned).eval()(*values)]
    except RuntimeError:
        pass  # a mask or a buffer of its own type: the plain tolerance has to do
    result = []
    for value, other in zip(expected, exact, strict=True):
        finite = np.isfinite(value) & np.isfinite(other)
        if value.dtype.kind != "f" or not finite.any():
            result.append(0.0)
            continue
        lost = np.abs(value[finite] - other[finite]).max()
        result.append(TOLERANCE * float(np.abs(value[finite]).max()) + 20 * float(lost))
    return result


def _widened(call: Any) -> Any:
    import copy

    return copy.deepcopy(call).double() if isinstance(call, nn.Module) else call


def _unequal(want: np.ndarray[Any, Any], got: np.ndarray[Any, Any], most: float) -> str:
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"{got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if want.dtype.kind != "f":
        return "" if bool((want == got).all()) else f"{int((want != got).sum())} of {want.size} elements"
    finite = np.isfinite(want)
    if not bool((np.isnan(want) == np.isnan(got)).all()):
        return f"NaN at {int(np.isnan(got).sum())} places instead of {int(np.isnan(want).sum())} of {want.size}"
    if not bool((want[~finite & ~np.isnan(want)] == got[~finite & ~np.isnan(want)]).all()):
        return "infinities differ"
    worst = np.abs(want[finite] - got[finite]).max() if finite.any() else 0.0
    return "" if worst <= most else f"off by {worst:.3g}, {most:.3g} allowed"


def failure(case: Case, seed: int = 0, maps: Sequence[str] = ("one", "alternating", "random")) -> str:
    """As ``difference``; a refusal or an error is a failure, too."""
    try:
        return difference(case, seed, maps)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:1500]}"
