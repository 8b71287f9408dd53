"""Graphs through the CUDA backend, and a stand-in for NVIDIA's driver. No GPU is used anywhere here."""

from __future__ import annotations

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from devices import DeviceRef
from optima.backends.base import CompileOptions, SubgraphArtifact
from optima.backends.cuda.compiler import find_compiler
from optima.backends.cuda.driver import Driver
from optima.backends.cuda.gpu import Gpu
from optima.backends.cuda.meta import CudaSubgraph
from optima.backends.cuda.running import opened as on_device
from optima.backends.cuda.simulator import Simulator
from optima.backends.cuda.tools import host_compiler
from optima.backends.gpu_route.executable import GpuExecutable
from optima.graph import Graph
from optima.tools import ToolMissing
from tests.backends.one_subgraph import Array, artifact_of, borders_of, view_of

DEVICE = DeviceRef.parse("NVIDIA:0")
ADD = "graph g(%x: f32[40], %z: f32[40]) -> (%y)\n  %y = add_0: add(%x, %z) : f32[40]\n"
SUM = """graph g(%x: f32[3,40], %z: f32[3,40]) -> (%y)
  %a = add_0: add(%x, %z) : f32[3,40]
  %y = softmax_1: softmax(%a) {dim=1} : f32[3,40]
"""


@cache
def absent() -> str:
    """Why nothing can be compiled here, "" where it can."""
    try:
        find_compiler()
    except ToolMissing as error:
        return error.message
    return ""


needs_compiler = pytest.mark.skipif(bool(absent()), reason=absent() or "-")
needs_simulator = pytest.mark.skipif(
    bool(absent()) or not host_compiler().found, reason=absent() or "there is no C++ compiler"
)


def options(**given: Any) -> CompileOptions:
    """``device_options["NVIDIA"]``."""
    return CompileOptions(device_options={"NVIDIA": given})


def compiled(text: str, **given: Any) -> tuple[Graph, SubgraphArtifact]:
    """A graph's text and its artifact."""
    graph = Graph.parse(text)
    return graph, artifact_of(graph, "cuda", DEVICE, options(**given))


def simulated(graph: Graph, artifact: SubgraphArtifact, values: dict[str, Array], device: Any = None) -> list[Array]:
    """The outputs, from a device or the simulator."""
    view, borders = view_of(graph, artifact), borders_of(graph, values)
    executable = on_device(device or Simulator(), CudaSubgraph.model_validate(view.meta), view)
    executable.bind(borders).run()
    return [borders[name] for name in graph.outputs]


class StandIn:
    """The stand-in driver, built once for the tests' run."""

    def __init__(self, folder: Path) -> None:
        made = folder / "libcuda.so.1"
        source = Path(__file__).with_name("stand_in_driver.c")
        subprocess.run(["cc", "-w", "-shared", "-fPIC", "-o", made, source], check=True)
        self.library = ctypes.CDLL(str(made))
        self.library.stand_in_log.restype = ctypes.c_char_p
        self.library.stand_in_current.restype = ctypes.c_void_p
        self.path = str(made)
        self._kept: Any = None

    def driver(self) -> Driver:
        """A driver as if freshly opened, its log empty."""
        self.library.stand_in_reset()
        return Driver(self.library)

    def log(self) -> list[str]:
        """Every call so far."""
        return list(self.library.stand_in_log().decode().splitlines())

    def fail(self, name: str, status: int) -> None:
        """Let a function answer with an error from now on."""
        self.library.stand_in_fail(name.encode(), status)

    def run_launches(self, functions: dict[str, Any]) -> None:
        """Let launches run the simulator's functions, on the stand-in's memory."""
        of_launch = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
        )

        def launch(kernel: bytes, groups: int, threads: int, arguments: Any) -> int:
            # The driver takes pointers to the arguments; the simulator's functions the arguments.
            count = self._arguments[kernel.decode()]
            values = [ctypes.c_void_p.from_address(arguments[k]).value for k in range(count)]
            given = (ctypes.c_void_p * count)(*values)
            return int(functions[kernel.decode()](ctypes.c_void_p(groups), ctypes.c_void_p(threads), given, 0))

        self._kept = of_launch(launch)
        self.library.stand_in_on_launch(self._kept)

    def expect(self, meta: CudaSubgraph) -> None:
        """How many arguments each kernel takes."""
        self._arguments = {k.entry_point: len(k.arguments) for k in meta.kernels}


def values(seed: int) -> dict[str, Array]:
    """Inputs of SUM."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((3, 40)).astype(np.float32) for name in ("x", "z")}


def expected(given: dict[str, Array]) -> Array:
    """What SUM makes of them."""
    return torch.softmax(torch.from_numpy(given["x"] + given["z"]), 1).numpy()


def executable_on(stand_in: StandIn, opened: Driver, **given: str) -> GpuExecutable:
    """SUM on the stand-in, whose launches run the simulator's functions."""
    graph, artifact = compiled(SUM, **given)
    view = view_of(graph, artifact)
    meta = CudaSubgraph.model_validate(view.meta)
    stand_in.expect(meta)
    stand_in.run_launches(dict(Simulator().functions(meta, view.files)))
    return on_device(Gpu(opened, 0), meta, view)
