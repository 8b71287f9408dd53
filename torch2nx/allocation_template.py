"""The template of an allocation map: every op on one device."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import networkx as nx

from devices import DeviceRef, MalformedDevice
from torch2nx import gpickle, schema
from torch2nx.errors import GraphError


def device_name(device: str) -> str:
    """``"X64"`` -> ``"X64:0"``; ``"X64:1"`` as it is. Raises MalformedDevice for anything else."""
    if not isinstance(device, str):
        raise MalformedDevice(f"{device!r} is not a device: a device is text", hint='write "X64" or "X64:0"')
    return str(DeviceRef.parse(device if ":" in device else f"{device}:0"))


def ops_in_order(graph: nx.DiGraph) -> list[str]:
    """The op names in number order, which is a topological order."""
    names = [n for n, data in graph.nodes(data="data") if data["kind"] == schema.OP]
    return sorted(names, key=lambda n: int(m.group(1)) if (m := re.search(r"_(\d+)$", n)) else -1)


def write_template(json_path: str | os.PathLike[str], device: str, gpickle_path: str | os.PathLike[str]) -> None:
    """Write ``{"conv2d_2": "X64:0", ...}`` for the graph in ``gpickle_path``; ``~`` expands in both paths.

    Raises MalformedDevice, GraphError and UnsafePickle.
    """
    chosen = device_name(device)
    table = dict.fromkeys(ops_in_order(gpickle.read(gpickle_path)), chosen)
    target = Path(os.path.expanduser(json_path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        gpickle.replace_file(target, (json.dumps(table, indent=2) + "\n").encode())
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise GraphError(
            f"cannot write {target.name}: {getattr(error, 'strerror', None) or error}",
            hint="choose a file in a folder that you may write to",
        ) from error
