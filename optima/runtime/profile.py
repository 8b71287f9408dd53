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

    What a copy takes is part of its subgraph's time. Devices with a clock list it among the kernels: "inputs to the
    device" and "outputs from the device".
    """

    tensor: str
    source: str
    target: str
    nbytes: int
    kind: str


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
        rows = [("total", "", self.us)]
        for part in self.subgraphs:
            rows.append((part.name, part.device, part.us))
            rows += [("  " + kernel.name, "", kernel.us) for kernel in part.kernels]
        width = max(len(name) for name, _, _ in rows)
        device_width = max(len(device) for _, device, _ in rows)
        return "\n".join(f"{name:<{width}}  {dev:<{device_width}}  {us:>12.1f} us" for name, dev, us in rows)
