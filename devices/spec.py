"""What is known of a kind of device before any is present."""

from __future__ import annotations

from dataclasses import dataclass

from devices.kind import DeviceEnum, Family


@dataclass(frozen=True)
class Link:
    """How bytes get to the device from host memory.

    ``bytes_per_s`` is a peak, 0.0 where nothing is copied; ``source`` says whose figure it is.
    """

    name: str
    bytes_per_s: float
    source: str


@dataclass(frozen=True)
class DeviceSpec:
    """One kind's facts. Rates are peaks of a typical part, with their source; 0.0 means not known.

    ``backend`` is the default backend's name, or "" where none exists yet.
    """

    kind: DeviceEnum
    triple: str
    dtypes: tuple[str, ...]
    backend: str
    link: Link
    peak_f32_flops_per_s: float = 0.0
    source: str = ""

    @property
    def family(self) -> Family:
        """CPU, GPU or NPU."""
        return self.kind.family
