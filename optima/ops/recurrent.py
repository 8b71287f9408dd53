"""Recurrent operators."""

from __future__ import annotations

from optima.ops.entry import OpEntry

ENTRIES: tuple[OpEntry, ...] = ()
