"""The picture of an allocated graph: boxes coloured by device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import networkx as nx

from devices.errors import Problem
from torch2nx import schema
from torch2nx.errors import PlotError

#: ranks of nodes, one above the other, that a square picture shows well
_RANKS_PER_SQUARE = 6
_TENSOR_COLOUR: Final = "#d9d9d9"
#: Paul Tol's "bright" and "muted" sets, which colour-blind readers can tell apart (personal.sron.nl/~pault)
_DEVICE_COLOURS: Final = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#332288", "#88ccee", "#44aa99",
    "#117733", "#999933", "#ddcc77", "#cc6677", "#882255",
)  # fmt: skip


def plot_network(graph: nx.DiGraph, directory: Path, filename: str, map_json: Path, figsizenum: int) -> Path:
    """Draw ``graph`` into ``directory/filename``; see ``Torch2GraphConverter.plot_network``."""
    devices = _devices_of(graph, map_json.expanduser())
    picture = _picture(graph, devices, figsizenum)
    target = directory.expanduser() / filename
    if not target.suffix:
        target = target.with_suffix(".png")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.draw(str(target), prog="dot")
    except (OSError, ValueError) as error:
        raise PlotError(f"cannot draw {target.name}: {error}", hint="name a .png, .svg or .pdf file") from error
    return target


def colours_of(devices: list[str]) -> dict[str, str]:
    """One colour per device, in order of first use; after the palette's end darker shades follow."""
    table: dict[str, str] = {}
    for device in devices:
        if device not in table:
            turn, place = divmod(len(table), len(_DEVICE_COLOURS))
            base = _DEVICE_COLOURS[place]
            channels = (int(base[i : i + 2], 16) * 4 // (4 + turn) for i in (1, 3, 5))
            table[device] = "#" + "".join(f"{c:02x}" for c in channels)
    return table


def _devices_of(graph: nx.DiGraph, map_json: Path) -> dict[str, str]:
    """Op name -> device text, for each op of the graph."""
    try:
        table = json.loads(map_json.read_text())
    except (OSError, ValueError) as error:
        raise PlotError(
            f"cannot read the map {map_json.name}: {error}", hint="pass the allocation JSON file"
        ) from error
    ops = [n for n, data in graph.nodes(data="data") if data["kind"] == schema.OP]
    if not isinstance(table, dict):
        raise PlotError(f"{map_json.name} holds a {type(table).__name__}, not a map from op to device")
    problems = [Problem(op, "the map has no device for this op") for op in ops if op not in table]
    problems += [Problem(str(name), "the graph has no such op") for name in table if name not in set(ops)]
    if problems:
        raise PlotError(
            f"the map {map_json.name} does not fit the graph",
            problems=problems,
            hint="write the map of this graph with get_onedevice_allocator",
        )
    return {op: _text(table[op]) for op in ops}


def _text(device: Any) -> str:
    """A device of the map; a list of preferences is drawn as one device of its own."""
    return " > ".join(map(str, device)) if isinstance(device, list) else str(device)


def _picture(graph: nx.DiGraph, devices: dict[str, str], figsizenum: int) -> Any:
    try:
        import pygraphviz
    except ImportError as error:
        raise PlotError(
            "drawing needs pygraphviz, which is not installed", hint='in Optima\'s clone: pip install ".[plot]"'
        ) from error
    colours = colours_of(list(devices.values()))
    # Inches: the width is figsizenum, and a deep graph may be as many times taller as it has ranks for, or its
    # text could not be read.
    height = figsizenum * max(1.0, nx.dag_longest_path_length(graph) / _RANKS_PER_SQUARE)
    picture = pygraphviz.AGraph(directed=True, size=f"{figsizenum},{height:g}!", dpi="100", rankdir="TB")
    picture.node_attr.update(style="filled", fontname="sans-serif")
    for name, data in graph.nodes(data="data"):
        if data["kind"] == schema.OP:
            device = devices[name]
            picture.add_node(name, shape="box", fillcolor=colours[device], label=f"{name}\\n{device}")
        else:
            shape = "x".join(map(str, data["shape"])) or "scalar"
            picture.add_node(name, shape="ellipse", fillcolor=_TENSOR_COLOUR, label=f"{name}\\n{data['dtype']} {shape}")
    picture.add_edges_from(graph.edges)
    return picture
