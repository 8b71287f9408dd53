"""Giving a family's entries their TFLite routes, and the refusals that rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from optima.ops.entry import OpEntry, OpView, Tflite

Refuse = Callable[[OpView], str | None]


def with_tflite(entries: Sequence[OpEntry], routes: Mapping[str, Tflite]) -> tuple[OpEntry, ...]:
    """The entries, each with its route. Raises KeyError for a route that belongs to none of them."""
    names = {e.name for e in entries}
    unknown = [name for name in routes if name not in names]
    if unknown:
        raise KeyError(f"TFLite routes of operators that are not in the family: {', '.join(unknown)}")
    return tuple(replace(e, tflite=routes[e.name]) if e.name in routes else e for e in entries)


def first_reason(*rules: Refuse) -> Refuse:
    """The first reason that any of the rules gives."""

    def reason(view: OpView) -> str | None:
        return next((r for rule in rules if (r := rule(view))), None)

    return reason
