"""What the last inference of a request took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelProfile:
    """One kernel call."""

    name: str
    us: float


@dataclass(frozen=True)
class SubgraphProfile:
    """One subgraph: its whole time, and that of its kernel calls in order (none where it has no kernels)."""

    name: str
    device: str
    us: float
    kernels: tuple[KernelProfile, ...]


@dataclass(frozen=True)
class TransferProfile:
    """A border tensor on its way: between subgraphs' names, bytes, and "alias" (the same memory) or "copy".

    ``us``: microseconds that both sides took to copy it, as parts of the times of their subgraphs (a tensor that
    several subgraphs read is copied out once, and counted with each); 0 for an alias, None where a side does not say.
    """

    tensor: str
    source: str
    target: str
    nbytes: int
    kind: str
    us: float | None = None


@dataclass(frozen=True)
class ProfileData:
    """One inference, without the copies of inputs and outputs. Printed, it is a table.

    ``us``: microseconds from start to end; the subgraphs' may add up to more, since independent ones on different
    devices run at the same time.
    """

    us: float
    subgraphs: tuple[SubgraphProfile, ...]
    transfers: tuple[TransferProfile, ...] = ()

    @property
    def copied_bytes(self) -> int:
        """What went from one memory to another between subgraphs."""
        return sum(t.nbytes for t in self.transfers if t.kind == "copy")

    def __str__(self) -> str:
        rows: list[tuple[str, str, float | None]] = [("total", "", self.us)]
        for part in self.subgraphs:
            rows.append((part.name, part.device, part.us))
            rows += [("  " + kernel.name, "", kernel.us) for kernel in part.kernels]
        rows += [
            (f"{t.tensor}: {t.source} to {t.target}", f"{t.nbytes:,} bytes", t.us)
            for t in self.transfers
            if t.kind == "copy"
        ]
        width = max(len(name) for name, _, _ in rows)
        second_width = max(len(second) for _, second, _ in rows)
        return "\n".join(f"{name:<{width}}  {second:<{second_width}}  {_shown(us)}" for name, second, us in rows)


def _shown(us: float | None) -> str:
    return f"{'-':>12}" if us is None else f"{us:>12.1f} us"
