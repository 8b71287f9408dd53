"""Giving a family's entries the routes that stand in files of their own, and the refusals that rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optima.ops.entry import OpEntry, OpView

Refuse = Callable[[OpView], str | None]


def with_route(entries: Sequence[OpEntry], field: str, routes: Mapping[str, Any]) -> tuple[OpEntry, ...]:
    """The entries, each with its route as ``field``. Raises KeyError for a route that belongs to none of them."""
    names = {e.name for e in entries}
    unknown = [name for name in routes if name not in names]
    if unknown:
        raise KeyError(f"{field} routes of operators that are not in the family: {', '.join(unknown)}")
    return tuple(replace(e, **{field: routes[e.name]}) if e.name in routes else e for e in entries)


def first_reason(*rules: Refuse) -> Refuse:
    """The first reason that any of the rules gives."""

    def reason(view: OpView) -> str | None:
        return next((r for rule in rules if (r := rule(view))), None)

    return reason
