"""Giving a family's entries their ONNX routes, and the refusals that rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from optima.ops.entry import Onnx, OpEntry, OpView

Refuse = Callable[[OpView], str | None]

FLOATING = ("float32", "float16")
#: what arithmetic takes
NUMBERS = (*FLOATING, "int64", "int32")
#: what only moves
ANY = (*NUMBERS, "float64", "int16", "int8", "uint8", "bool")


def with_onnx(entries: Sequence[OpEntry], routes: Mapping[str, Onnx]) -> tuple[OpEntry, ...]:
    """The entries, each with its route. Raises KeyError for a route that belongs to none of them."""
    names = {e.name for e in entries}
    unknown = [name for name in routes if name not in names]
    if unknown:
        raise KeyError(f"ONNX routes of operators that are not in the family: {', '.join(unknown)}")
    return tuple(replace(e, onnx=routes[e.name]) if e.name in routes else e for e in entries)


def first_reason(*rules: Refuse) -> Refuse:
    """The first reason that any of the rules gives."""

    def reason(view: OpView) -> str | None:
        return next((r for rule in rules if (r := rule(view))), None)

    return reason


def only(*dtypes: str) -> Refuse:
    """Refuses results of another dtype."""

    def reason(view: OpView) -> str | None:
        dtype = view.outputs[0].dtype
        return None if dtype in dtypes else f"{view.op} that gives {dtype} has no ONNX form here"

    return reason
