"""Reading and writing ``.gpickle`` files: the same graph gives the same bytes, and reading runs no code."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import networkx as nx
import numpy as np

from torch2nx import schema
from torch2nx.errors import GraphError
from torch2nx.safe_unpickler import load_parts

#: pinned: newer protocols would change the bytes, older ones have no large objects
PROTOCOL: Final = 4


def dumps(graph: nx.DiGraph) -> bytes:
    """The bytes of a graph. Equal graphs with nodes in equal order give equal bytes. Raises GraphError."""
    schema.validate(graph)
    return pickle.dumps(_fresh(graph), protocol=PROTOCOL)


def write(path: str | os.PathLike[str], graph: nx.DiGraph) -> None:
    """Write a graph to ``path`` (``~`` expands, missing folders are made) in one atomic step.

    Raises GraphError when the graph breaks its contract or the file cannot be written; an older file stays.
    """
    target = Path(os.path.expanduser(path))
    data = dumps(graph)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, data)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise GraphError(
            f"cannot write {target.name}: {getattr(error, 'strerror', None) or error}",
            hint="choose a file in a folder that you may write to",
        ) from error


def replace_file(target: Path, data: bytes) -> None:
    """Write a file so that at each moment the old or the new one is there, whole. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a graph is as public as any file that the user writes.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read(path: str | os.PathLike[str]) -> nx.DiGraph:
    """The validated graph in a file.

    Raises UnsafePickle when the file names a global that no graph holds, and GraphError when it is missing,
    truncated, another pickle, or a graph that breaks its contract. Nothing in the file is ever executed.
    """
    source = Path(os.path.expanduser(path))
    try:
        data = source.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise GraphError(
            f"cannot read {source}: {getattr(error, 'strerror', None) or error}",
            hint="pass the path that export_to_gpickle wrote",
        ) from error
    if data.lstrip()[:1] in (b"{", b"["):
        raise GraphError(
            f"{source.name} is JSON text, not a graph", hint="this looks like the map: pass the .gpickle here"
        )
    return loads(data, name=source.name)


def loads(data: bytes, *, name: str = "the data") -> nx.DiGraph:
    """The validated graph in ``data``; see ``read``. ``name`` stands for it in errors."""
    attributes, nodes, adjacency = load_parts(data, name)
    graph = nx.DiGraph()
    graph.graph.update(attributes)
    for node, data_dict in nodes.items():
        graph.add_node(node)
        graph.nodes[node].update(data_dict)
    for source, targets in adjacency.items():
        for target in targets:
            if source not in nodes or target not in nodes:
                raise GraphError(f"{name} has an edge {source} -> {target} between nodes that it does not have")
            graph.add_edge(source, target)
    schema.validate(graph)
    return graph


def _fresh(graph: nx.DiGraph) -> nx.DiGraph:
    """An equal graph whose pickle depends on its contents only.

    pickle writes a second reference to an object as a reference, by identity: so equal strings must be one
    object, lists and arrays must be shared by nobody, and the views that networkx caches must not exist.
    """
    fresh = nx.DiGraph()
    fresh.graph.update(_canonical(graph.graph))
    for name, attributes in graph.nodes(data=True):
        fresh.add_node(sys.intern(name), **_canonical(attributes))
    for data in list(graph.nodes):
        for target in graph.adj[data]:
            fresh.add_edge(sys.intern(data), sys.intern(target))
    # Touching fresh.nodes or fresh.edges from here on would cache a view inside it.
    return fresh


def _canonical(value: Any) -> Any:
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {_canonical(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_canonical(v) for v in value]
    if isinstance(value, np.ndarray):
        # Little-endian, row-major, and a dtype object that every array of this dtype shares.
        return np.array(value, dtype=np.dtype(value.dtype.name), order="C", copy=True)
    return value
