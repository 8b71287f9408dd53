"""Elementwise operators: unary functions, activations, and broadcasting arithmetic."""

from __future__ import annotations

from optima.ops.entry import OpEntry

ENTRIES: tuple[OpEntry, ...] = ()
