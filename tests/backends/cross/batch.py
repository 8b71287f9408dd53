"""Many op cases compiled for one kind of CPU, run by one emulated process, and compared with torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from devices import DeviceEnum
from examples.c.write_plan import DTYPES
from optima.graph import Graph, TensorType, numpy_dtype
from optima.kernels.build import compile_kernel
from optima.kernels.cpu_kinds import target_of
from optima.kernels.naming import canonical
from tests.backends.cross.machine import run_plan
from tests.ops.case import OpCase
from tests.ops.harness import compare, reference


def faults(
    machine: str, cases: Sequence[OpCase], folder: Path, options: Mapping[str, Any] | None = None, emulated: str = ""
) -> list[str]:
    """What is wrong with the answers that kernels for ``machine`` give; nothing where all agree with torch.

    ``options``: device options to compile with. ``emulated``: another CPU model of qemu's than the baseline.
    """
    target = target_of(DeviceEnum(machine), "", options or {}).to_dict()
    graphs = [case.graph() for case in cases]
    plan: list[str] = []
    for number, (case, graph) in enumerate(zip(cases, graphs, strict=True)):
        name = f"kernel_{number}"
        payload = {"name": name, "group": canonical(graph).dump(), "target": target}
        (folder / f"{name}.so").write_bytes(compile_kernel(payload))
        plan += _steps(number, graph, case.values(), folder)
    (folder / "plan.txt").write_text("\n".join(plan) + "\n")
    failed = {int(line.split()[1].rstrip(":")): line for line in run_plan(machine, folder, emulated)}
    found = []
    for number, (case, graph) in enumerate(zip(cases, graphs, strict=True)):
        fault = failed.get(number, "") or _difference(number, case, graph, folder)
        if fault:
            found.append(f"{case.id}: {fault}")
    return found


def _steps(number: int, graph: Graph, values: dict[str, np.ndarray[Any, Any]], folder: Path) -> list[str]:
    names = (*graph.inputs, *graph.outputs)
    lines = [f"begin {number}", *(_tensor(graph.type_of(n)) for n in names)]
    for index, name in enumerate(graph.inputs):
        (folder / f"in_{number}_{index}").write_bytes(np.ascontiguousarray(values[name]).tobytes())
        lines.append(f"read {index} in_{number}_{index}")
    indices = " ".join(map(str, range(len(names))))
    lines.append(f"call ./kernel_{number}.so __tvm_ffi_kernel_{number} {len(names)} {indices}")
    writes = [f"write {len(graph.inputs) + i} out_{number}_{i}" for i in range(len(graph.outputs))]
    return lines + writes


def _tensor(kind: TensorType) -> str:
    return f"tensor {DTYPES[kind.dtype]} {len(kind.shape)} {' '.join(map(str, kind.shape))}".rstrip()


def _difference(number: int, case: OpCase, graph: Graph, folder: Path) -> str:
    wanted = reference(graph, case.values())
    for index, (name, want) in enumerate(zip(graph.outputs, wanted, strict=True)):
        kind = graph.type_of(name)
        data = (folder / f"out_{number}_{index}").read_bytes()
        got = np.frombuffer(data, numpy_dtype(kind.dtype)).reshape(kind.shape)
        try:
            compare(name, kind, got, want, case.tolerance)
        except AssertionError as error:
            return " ".join(str(error).split())[:300]
    return ""
