"""Which buffer each tensor of a lowered subgraph lives in: borders, constants, scratch, and aliases of them.

An op that only reshapes and has no kernel moves no byte: its output is an alias of its input. Where a border
output would be an alias of something that already has a home, it is a copy at the end instead; kernels that read
it before that read an alias of the home.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optima.backends.kernel_route.memory import ALIGNMENT, Lifetime, place
from optima.backends.kernel_route.meta import BufferMeta
from optima.graph import Graph, Op


@dataclass(frozen=True)
class Storage:
    """Buffers in order of first appearance, ``(output, source)`` copies to make at the end, and the arena's size.

    ``reads``: the buffer that kernels read in the place of a tensor, for outputs that are copies. ``offsets``: where
    in the arena each scratch tensor and temporary lies.
    """

    buffers: tuple[BufferMeta, ...]
    copies: tuple[tuple[str, str], ...]
    reads: Mapping[str, str]
    arena_bytes: int
    offsets: Mapping[str, int] = field(default_factory=dict)


def assign(
    graph: Graph,
    calls: Sequence[tuple[Op, ...]],
    aliases: Sequence[Op],
    keys: dict[str, str],
    *,
    temporaries: Sequence[Lifetime] = (),
    alignment: int = ALIGNMENT,
) -> Storage:
    """Storage for ``graph``: ``calls`` are the kernel groups in order, ``aliases`` the ops without a kernel.

    ``keys`` maps a parameter's name to its entry in the weights file. ``temporaries`` get a place in the arena, too;
    their steps are positions in ``calls``. ``alignment`` is that of every offset, in bytes.
    """
    root = {name: name for name in graph.tensors}
    for op in aliases:
        root[op.outputs[0]] = root[op.inputs[0]]
    home, copies = _homes(graph, root)
    produced_at, last_read = _steps(graph, calls, root)
    end = len(calls)
    for _, source in copies:
        last_read[root[source]] = end
    scratch = [
        Lifetime(r, graph.type_of(r).nbytes, step, last_read.get(r, step))
        for r, step in produced_at.items()
        if r not in home
    ]
    offsets, arena = place([*scratch, *temporaries], alignment)
    used = _used_names(graph, calls, aliases)
    buffers = [_buffer(graph, n, root, home, offsets, keys) for n in _roots_first(used, root, home)]
    reads: dict[str, str] = {}
    for name, source in copies:
        if any(name in op.inputs for ops in calls for op in ops):
            reads[name] = f"{name}.early"
            buffers.append(_alias(graph, reads[name], name, source))
    return Storage(tuple(buffers), tuple(copies), reads, arena, offsets)


def _alias(graph: Graph, name: str, tensor: str, owner: str) -> BufferMeta:
    """``owner``'s bytes with the shape of ``tensor``."""
    kind = graph.type_of(tensor)
    place = {"name": name, "shape": kind.shape, "dtype": kind.dtype, "kind": "alias", "alias_of": owner}
    return BufferMeta.model_validate(place)


def _homes(graph: Graph, root: dict[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Which border buffer holds each alias class, and the outputs that need a copy out of another home."""
    home = {name: name for name in graph.inputs}
    copies: list[tuple[str, str]] = []
    for name in dict.fromkeys(graph.outputs):
        r = root[name]
        if name in graph.inputs or home.get(r) == name:
            continue
        if r not in home and not graph.tensors[r].is_param:
            # A kernel writes an output into the caller's buffer under its own name, whichever output comes first.
            home[r] = r if r in graph.outputs else name
        if home.get(r) != name:
            copies.append((name, home.get(r, r)))
    return home, copies


def _steps(
    graph: Graph, calls: Sequence[tuple[Op, ...]], root: dict[str, str]
) -> tuple[dict[str, int], dict[str, int]]:
    """For every alias class that leaves its group: the step that writes it, and the last that reads it."""
    produced: dict[str, int] = {}
    last: dict[str, int] = {}
    for step, ops in enumerate(calls):
        part = graph.extract("step", ops)
        for name in part.outputs:
            produced[root[name]] = step
        for name in part.inputs:
            last[root[name]] = step
    return produced, last


def _used_names(graph: Graph, calls: Sequence[tuple[Op, ...]], aliases: Sequence[Op]) -> list[str]:
    used = dict.fromkeys(graph.inputs)
    for ops in calls:
        part = graph.extract("step", ops)
        used.update(dict.fromkeys(part.inputs))
        used.update({t.name: None for t in part.params})
        used.update(dict.fromkeys(part.outputs))
    for op in aliases:
        used.update(dict.fromkeys((*op.inputs, *op.outputs)))
    used.update(dict.fromkeys(graph.outputs))
    return list(used)


def _roots_first(names: list[str], root: dict[str, str], home: dict[str, str]) -> list[str]:
    """Every name after the one it is an alias of."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered[home.get(root[name], root[name])] = None
    ordered.update(dict.fromkeys(names))
    return list(ordered)


def _buffer(
    graph: Graph,
    name: str,
    root: dict[str, str],
    home: dict[str, str],
    offsets: Mapping[str, int],
    keys: dict[str, str],
) -> BufferMeta:
    tensor = graph.tensors[name]
    owner = home.get(root[name], root[name])
    place: dict[str, object]
    if name in graph.inputs or name in graph.outputs:
        place = {"kind": "border"}
    elif owner != name:
        place = {"kind": "alias", "alias_of": owner}
    elif tensor.is_param:
        place = {"kind": "constant", "key": keys[name]}
    else:
        place = {"kind": "scratch", "offset": offsets[name]}
    return BufferMeta.model_validate({"name": name, "shape": tensor.shape, "dtype": tensor.dtype, **place})
