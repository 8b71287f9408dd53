"""Graphs through the whole SPIR-V backend on a Vulkan device, lavapipe where there is no other."""

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
from optima.backends.spirv.compiler import find_compiler
from optima.backends.spirv.devices_here import VulkanMissing, found_devices
from optima.backends.spirv.load import SpirvExecutable, load
from optima.graph import Graph, numpy_dtype
from optima.native import aligned_empty
from optima.ops.entry import Answer
from optima.tools import ToolMissing

DEVICE = DeviceRef.parse("ADRENO:0")
OPTIONS = CompileOptions()
Array = np.ndarray[Any, Any]


@cache
def absent_compiler() -> str:
    """Why nothing can be compiled here, "" where it can."""
    try:
        find_compiler()
    except ToolMissing as error:
        return error.message
    return ""


@cache
def absent_vulkan() -> str:
    """Why nothing can be run here, "" where it can."""
    try:
        return "" if found_devices() else "no Vulkan device is here, not even lavapipe"
    except VulkanMissing as error:
        return error.message


needs_compiler = pytest.mark.skipif(bool(absent_compiler()), reason=absent_compiler() or "-")
needs_vulkan = pytest.mark.skipif(
    bool(absent_compiler() or absent_vulkan()), reason=absent_compiler() or absent_vulkan() or "-"
)


def answers(graph: Graph, options: CompileOptions = OPTIONS) -> Mapping[str, Answer]:
    """The backend's answer for every op of a graph."""
    return backend_of("spirv").check(graph, [op.name for op in graph.ops], DEVICE, options)


def run_job(job: Job) -> bytes:
    """A job's result, made in this process."""
    module, _, name = job.function.partition(":")
    made: bytes = getattr(importlib.import_module(module), name)(job.payload)
    return made


def compiled(graph: Graph) -> SubgraphArtifact:
    """The artifact of a graph as one subgraph."""
    backend = backend_of("spirv")
    jobs = backend.plan(graph, DEVICE, OPTIONS, None)
    return backend.link(graph, DEVICE, OPTIONS, {job.key: run_job(job) for job in jobs})


def view_of(graph: Graph, artifact: SubgraphArtifact) -> SubgraphView:
    """What ``load`` gets of an artifact."""
    constants = {}
    for constant in artifact.constants:
        constants[constant.name] = aligned_empty(constant.array.shape, constant.dtype)
        constants[constant.name][...] = constant.array
    return SubgraphView(graph.name, artifact.meta, artifact.files, constants, graph.inputs, graph.outputs)


def loaded(graph: Graph) -> SpirvExecutable:
    """A graph, compiled and loaded."""
    env = LoadEnv(threads=1, fallback=True, log=logging.getLogger("tests"), present=False)
    return load(view_of(graph, compiled(graph)), DEVICE, env)


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


def run_graph(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    """The outputs of a graph, from a device."""
    borders = borders_of(graph, values)
    loaded(graph).bind(borders).run()
    return [borders[name] for name in graph.outputs]
