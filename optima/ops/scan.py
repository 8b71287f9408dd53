"""Running sums and products along one axis: cumsum, cumprod."""

from __future__ import annotations

from optima.ops.entry import OpEntry

ENTRIES: tuple[OpEntry, ...] = ()
