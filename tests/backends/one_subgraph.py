"""A graph as one subgraph through a backend: plan, jobs in this process, link, and what ``load`` gets of it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import DeviceRef
from optima.backends import backend_of
from optima.backends.base import CompileOptions, Job, SubgraphArtifact, SubgraphView
from optima.graph import Graph, numpy_dtype
from optima.native import aligned_empty

Array = np.ndarray[Any, Any]


def run_job(job: Job) -> bytes:
    """A job's result, made in this process."""
    module, _, name = job.function.partition(":")
    made: bytes = getattr(importlib.import_module(module), name)(job.payload)
    return made


def artifact_of(
    graph: Graph, backend_name: str, device: DeviceRef, options: CompileOptions | None = None
) -> SubgraphArtifact:
    """The artifact of a graph."""
    backend, options = backend_of(backend_name), options or CompileOptions()
    jobs = backend.plan(graph, device, options, None)
    return backend.link(graph, device, options, {job.key: run_job(job) for job in jobs})


def view_of(graph: Graph, artifact: SubgraphArtifact) -> SubgraphView:
    """What ``load`` gets of an artifact."""
    constants = {}
    for constant in artifact.constants:
        constants[constant.name] = aligned_empty(constant.array.shape, constant.dtype)
        constants[constant.name][...] = constant.array
    types = {name: graph.type_of(name) for name in (*graph.inputs, *graph.outputs)}
    return SubgraphView(graph.name, artifact.meta, artifact.files, constants, graph.inputs, graph.outputs, types)


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
