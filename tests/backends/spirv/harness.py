"""Graphs through the whole SPIR-V backend, on a Vulkan or an OpenCL device: a CPU's where there is no other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

import pytest

from devices import DeviceRef
from optima.backends import backend_of
from optima.backends.base import CompileOptions, LoadEnv, SubgraphArtifact
from optima.backends.gpu_route.executable import GpuExecutable
from optima.backends.spirv.errors import OpenClMissing, VulkanMissing
from optima.backends.spirv.flavour import find_compiler
from optima.backends.spirv.load import interface_of, load
from optima.backends.spirv.meta import Flavour
from optima.graph import Graph
from optima.ops.entry import Answer
from optima.tools import ToolMissing
from tests.backends.one_subgraph import Array, artifact_of, borders_of, view_of

DEVICE = DeviceRef.parse("ADRENO:0")


def options(flavour: Flavour) -> CompileOptions:
    """What asks for a flavour."""
    return CompileOptions(device_options={"ADRENO": {"flavour": flavour}})


@cache
def absent_compiler(flavour: Flavour) -> str:
    """Why nothing of a flavour can be compiled here, "" where it can."""
    try:
        find_compiler(flavour)
    except ToolMissing as error:
        return error.message
    return ""


@cache
def absent_device(flavour: Flavour) -> str:
    """Why nothing of a flavour can be compiled or run here, "" where it can."""
    try:
        interface_of(flavour).found_devices()
    except (VulkanMissing, OpenClMissing) as error:
        return error.message
    return absent_compiler(flavour)


def _need(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(bool(reason), reason=reason or "-")


needs_compiler = _need(absent_compiler("shader"))
needs_vulkan = _need(absent_device("shader"))
needs_opencl = _need(absent_device("kernel"))
#: the flavours, each where it can be run
FLAVOURS = (pytest.param("shader", marks=needs_vulkan), pytest.param("kernel", marks=needs_opencl))
#: the flavours, each where it can be compiled
COMPILED = (
    pytest.param("shader", marks=needs_compiler), pytest.param("kernel", marks=_need(absent_compiler("kernel"))),
)  # fmt: skip


def answers(graph: Graph, given: CompileOptions | None = None) -> Mapping[str, Answer]:
    """The backend's answer for every op of a graph."""
    return backend_of("spirv").check(graph, [op.name for op in graph.ops], DEVICE, given or options("shader"))


def compiled(graph: Graph, flavour: Flavour = "shader") -> SubgraphArtifact:
    """The artifact of a graph as one subgraph."""
    return artifact_of(graph, "spirv", DEVICE, options(flavour))


def loaded(graph: Graph, flavour: Flavour) -> GpuExecutable:
    """A graph, compiled and loaded."""
    env = LoadEnv(threads=1, fallback=True, log=logging.getLogger("tests"), present=False)
    return load(view_of(graph, compiled(graph, flavour)), DEVICE, env)


def run_graph(graph: Graph, values: Mapping[str, Array], flavour: Flavour) -> list[Array]:
    """The outputs of a graph, from a device."""
    borders = borders_of(graph, values)
    loaded(graph, flavour).bind(borders).run()
    return [borders[name] for name in graph.outputs]
