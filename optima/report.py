"""What one ``optimize`` took and made. ``report.json`` is the only file outside the determinism promise."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field


@dataclass
class Report:
    """Seconds by phase, in order; counts of subgraphs and kernels; the placement rows."""

    phase_seconds: dict[str, float] = field(default_factory=dict)
    subgraphs: int = 0
    kernel_calls: int = 0
    kernels_compiled: int = 0
    kernels_from_cache: int = 0
    transfers: int = 0
    folded: tuple[str, ...] = ()
    #: (subgraph, devices, backend, number of ops)
    placement: tuple[tuple[str, str, str, int], ...] = ()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to ``phase_seconds[name]``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phase_seconds[name] = self.phase_seconds.get(name, 0.0) + time.perf_counter() - start

    def to_json(self) -> bytes:
        """The bytes of ``report.json``, the host's name for its CPU included."""
        host = {"platform": platform.platform(), "cores": os.cpu_count()}
        return (json.dumps({**asdict(self), "host": host}, indent=1) + "\n").encode()

    def __str__(self) -> str:
        rows = [("subgraph", "device", "backend", "ops"), *((s, d, b, str(n)) for s, d, b, n in self.placement)]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        table = "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
        times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.phase_seconds.items())
        return (
            f"{table}\n{self.kernel_calls} kernel calls, {self.kernels_compiled} kernels compiled, "
            f"{self.kernels_from_cache} from the cache; {len(self.folded)} ops folded\n{times}"
        )
