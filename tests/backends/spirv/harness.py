"""Graphs through the whole SPIR-V backend on a Vulkan device, lavapipe where there is no other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

import pytest

from devices import DeviceRef
from optima.backends import backend_of
from optima.backends.base import CompileOptions, LoadEnv, SubgraphArtifact
from optima.backends.spirv.compiler import find_compiler
from optima.backends.spirv.devices_here import VulkanMissing, found_devices
from optima.backends.spirv.load import SpirvExecutable, load
from optima.graph import Graph
from optima.ops.entry import Answer
from optima.tools import ToolMissing
from tests.backends.one_subgraph import Array, artifact_of, borders_of, view_of

DEVICE = DeviceRef.parse("ADRENO:0")
OPTIONS = CompileOptions()


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


def compiled(graph: Graph) -> SubgraphArtifact:
    """The artifact of a graph as one subgraph."""
    return artifact_of(graph, "spirv", DEVICE)


def loaded(graph: Graph) -> SpirvExecutable:
    """A graph, compiled and loaded."""
    env = LoadEnv(threads=1, fallback=True, log=logging.getLogger("tests"), present=False)
    return load(view_of(graph, compiled(graph)), DEVICE, env)


def run_graph(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    """The outputs of a graph, from a device."""
    borders = borders_of(graph, values)
    loaded(graph).bind(borders).run()
    return [borders[name] for name in graph.outputs]
