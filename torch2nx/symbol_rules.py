"""The rules of ``symbols``, the sizes known only at run time (see torch2nx.schema)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from devices.errors import Problem
from torch2nx.schema import OP

_KEYS: Final[dict[str, type]] = {"min": int, "max": int, "count": str, "axes": list}


def symbol_problems(symbols: Any, outputs: Any, nodes: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """What is wrong with a graph's symbols; ``nodes`` holds the data of the nodes that are sound by themselves."""
    if not isinstance(symbols, dict) or not isinstance(outputs, list):
        return  # the keys' types have been reported
    taken: set[tuple[str, int]] = set()
    for name, symbol in symbols.items():
        subject = f"symbol {name!s:.40}"
        if type(name) is not str or not name.isidentifier():
            yield Problem(subject, "its name is not a word")
        found = [*_shape_problems(subject, symbol)]
        yield from found
        if found:
            continue
        count = nodes.get(symbol["count"], {"kind": OP})
        if count["kind"] == OP or (count["shape"], count["dtype"]) != ([], "int64"):
            yield Problem(subject, f"its count {symbol['count']!r:.60} is no int64 scalar of the graph")
        for tensor, axis in symbol["axes"]:
            if (tensor, axis) in taken:
                yield Problem(subject, f"axis {axis} of {tensor} is named twice")
            taken.add((tensor, axis))
            yield from _axis_problems(subject, symbol, tensor, axis, outputs, nodes)


def _shape_problems(subject: str, symbol: Any) -> Iterator[Problem]:
    if type(symbol) is not dict or set(symbol) != set(_KEYS):
        yield Problem(subject, f"it must hold exactly {', '.join(_KEYS)}")
        return
    for key, expected in _KEYS.items():
        if type(symbol[key]) is not expected:
            yield Problem(subject, f"{key!r} is a {type(symbol[key]).__name__}, not a {expected.__name__}")
            return
    if not 0 <= symbol["min"] <= symbol["max"]:
        yield Problem(subject, f"it goes from {symbol['min']} to {symbol['max']}")
    if not symbol["axes"]:
        yield Problem(subject, "no axis of an output has this size")
    for pair in symbol["axes"]:
        if type(pair) is not list or [type(p) for p in pair] != [str, int]:
            yield Problem(subject, "'axes' holds something that is not [tensor, axis]")
            return


def _axis_problems(
    subject: str, symbol: dict[str, Any], tensor: str, axis: int, outputs: list[Any], nodes: dict[str, dict[str, Any]]
) -> Iterator[Problem]:
    data = nodes.get(tensor, {"kind": OP})
    if tensor not in outputs or data["kind"] == OP:
        yield Problem(subject, f"{tensor!r:.60} is no output of the graph")
    elif not 0 <= axis < len(data["shape"]):
        yield Problem(subject, f"{tensor} has no axis {axis}")
    elif data["shape"][axis] != symbol["max"]:
        yield Problem(subject, f"axis {axis} of {tensor} has size {data['shape'][axis]}, not {symbol['max']}")
