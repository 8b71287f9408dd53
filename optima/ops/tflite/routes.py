"""Giving a family's entries their TFLite routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optima.ops.entry import OpEntry, Tflite
from optima.ops.routes import with_route


def with_tflite(entries: Sequence[OpEntry], routes: Mapping[str, Tflite]) -> tuple[OpEntry, ...]:
    """The entries, each with its route. Raises KeyError for a route that belongs to none of them."""
    return with_route(entries, "tflite", routes)
