"""Graphs through the whole SPIR-V backend, on a Vulkan or an OpenCL device: a CPU's where there is no other."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from devices import DeviceRef
from optima.backends import backend_of
from optima.backends.base import CompileOptions, Job, LoadEnv, SubgraphArtifact, SubgraphView
from optima.backends.spirv.errors import OpenClMissing, VulkanMissing
from optima.backends.spirv.executable import SpirvExecutable
from optima.backends.spirv.flavour import find_compiler
from optima.backends.spirv.load import interface_of, load
from optima.backends.spirv.meta import Flavour
from optima.graph import Graph, numpy_dtype
from optima.native import aligned_empty
from optima.ops.entry import Answer
from optima.tools import ToolMissing

DEVICE = DeviceRef.parse("ADRENO:0")
Array = np.ndarray[Any, Any]


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


def run_job(job: Job) -> bytes:
    """A job's result, made in this process."""
    module, _, name = job.function.partition(":")
    made: bytes = getattr(importlib.import_module(module), name)(job.payload)
    return made


def compiled(graph: Graph, flavour: Flavour = "shader") -> SubgraphArtifact:
    """The artifact of a graph as one subgraph."""
    backend, given = backend_of("spirv"), options(flavour)
    jobs = backend.plan(graph, DEVICE, given, None)
    return backend.link(graph, DEVICE, given, {job.key: run_job(job) for job in jobs})


def view_of(graph: Graph, artifact: SubgraphArtifact) -> SubgraphView:
    """What ``load`` gets of an artifact."""
    constants = {}
    for constant in artifact.constants:
        constants[constant.name] = aligned_empty(constant.array.shape, constant.dtype)
        constants[constant.name][...] = constant.array
    return SubgraphView(graph.name, artifact.meta, artifact.files, constants, graph.inputs, graph.outputs)


def loaded(graph: Graph, flavour: Flavour) -> SpirvExecutable:
    """A graph, compiled and loaded."""
    env = LoadEnv(threads=1, fallback=True, log=logging.getLogger("tests"), present=False)
    return load(view_of(graph, compiled(graph, flavour)), DEVICE, env)


def borders_of(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """Border arrays: inputs with their values; outputs with what no kernel would write, NaN where there is one."""
    borders: dict[str, Array] = {}
    for name in (*graph.inputs, *graph.outputs):
        kind = graph.type_of(name)
        array = aligned_empty(kind.shape, kind.dtype)
        if name in values:
            array[...] = np.asarray(values[name]).reshape(kind.shape)
        else:
            array[...] = np.nan if np.issubdtype(numpy_dtype(kind.dtype), np.floating) else 1
        borders[name] = array
    return borders


def run_graph(graph: Graph, values: Mapping[str, Array], flavour: Flavour) -> list[Array]:
    """The outputs of a graph, from a device."""
    borders = borders_of(graph, values)
    loaded(graph, flavour).bind(borders).run()
    return [borders[name] for name in graph.outputs]
