"""The devices that a driver shows, and which of them a map's ``"KIND:n"`` is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devices import DeviceEnum, DeviceRef

#: PCI and Khronos vendor numbers: VkPhysicalDeviceProperties::vendorID, and most of CL_DEVICE_VENDOR_ID
VENDORS = {
    0x13B5: DeviceEnum.DEVICE_KIND_MALI,
    0x5143: DeviceEnum.DEVICE_KIND_ADRENO,
    0x8086: DeviceEnum.DEVICE_KIND_INTELGPU,
    0x1002: DeviceEnum.DEVICE_KIND_AMDGPU,
}


@dataclass(frozen=True)
class FoundDevice:
    """A device: ``handle`` is the driver's own; ``software`` marks one that is a CPU in disguise.

    ``kind`` is what a map would call it; None for a simulator, and for a vendor that no kind stands for.
    """

    name: str
    kind: DeviceEnum | None
    software: bool
    handle: Any


def hardware(device: DeviceRef, among: Sequence[FoundDevice]) -> FoundDevice | None:
    """The n-th hardware device of a kind, None where there are not so many."""
    fitting = [d for d in among if d.kind is device.kind and not d.software]
    return fitting[device.index] if device.index < len(fitting) else None


def simulator(among: Sequence[FoundDevice]) -> FoundDevice:
    """A software device, else the first of all."""
    return min(among, key=lambda d: not d.software)
