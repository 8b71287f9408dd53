"""Which Vulkan devices this machine has, and which kind of the map each of them is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from devices import DeviceEnum, DeviceRef
from optima.tools import NotUsableHere

INSTALL = "pip install 'optima[spirv]', and the device's Vulkan driver (apt-get install libvulkan1 mesa-vulkan-drivers)"

#: PCI and Khronos vendor numbers, as in VkPhysicalDeviceProperties::vendorID
_VENDORS = {
    0x13B5: DeviceEnum.DEVICE_KIND_MALI,
    0x5143: DeviceEnum.DEVICE_KIND_ADRENO,
    0x8086: DeviceEnum.DEVICE_KIND_INTELGPU,
    0x1002: DeviceEnum.DEVICE_KIND_AMDGPU,
}
_IS_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_VULKAN_1_1 = (1 << 22) | (1 << 12)
_VULKAN_1_2 = (1 << 22) | (2 << 12)


class VulkanMissing(NotUsableHere):
    """There is no Vulkan on this machine: the ``vulkan`` package, its loader, or any driver is absent.

    Example: ``load_model(path, fallback=True)`` of a model for ``"MALI:0"`` where Mesa's lavapipe is not installed.
    Fix: the command in the hint.
    """


@dataclass(frozen=True)
class FoundDevice:
    """A Vulkan device: ``handle`` is its VkPhysicalDevice; ``software`` marks one that is a CPU in disguise."""

    name: str
    vendor: int
    software: bool
    handle: Any

    @property
    def kind(self) -> DeviceEnum | None:
        """The kind that a map would call it; None for a simulator, and for a vendor that no kind stands for."""
        return None if self.software else _VENDORS.get(self.vendor)


def api() -> Any:
    """The ``vulkan`` package. Raises VulkanMissing where it, or the loader that it opens, is absent."""
    try:
        import vulkan
    except (ImportError, OSError) as error:
        raise VulkanMissing(f"Vulkan is not here: {error}", hint=INSTALL) from None
    return vulkan


@cache
def found_devices() -> tuple[FoundDevice, ...]:
    """Every Vulkan 1.1 device, in the loader's order. Raises VulkanMissing where there is no Vulkan at all."""
    vk = api()
    application = vk.VkApplicationInfo(pApplicationName="optima", apiVersion=_VULKAN_1_2)
    try:
        instance = vk.vkCreateInstance(vk.VkInstanceCreateInfo(pApplicationInfo=application), None)
        handles = list(vk.vkEnumeratePhysicalDevices(instance))
    except vk.VkError as error:
        raise VulkanMissing(f"Vulkan has no driver here: {type(error).__name__}", hint=INSTALL) from None
    found = [(handle, vk.vkGetPhysicalDeviceProperties(handle)) for handle in handles]
    return tuple(
        FoundDevice(str(p.deviceName), int(p.vendorID), int(p.deviceType) == _IS_CPU, handle)
        for handle, p in found
        if p.apiVersion >= _VULKAN_1_1
    )


os.register_at_fork(after_in_child=found_devices.cache_clear)


def hardware(device: DeviceRef, among: Sequence[FoundDevice]) -> FoundDevice | None:
    """The n-th hardware device of a kind, None where there are not so many."""
    fitting = [d for d in among if d.kind is device.kind]
    return fitting[device.index] if device.index < len(fitting) else None


def simulator(among: Sequence[FoundDevice]) -> FoundDevice:
    """A software device (Mesa's lavapipe), else any device at all. Raises VulkanMissing where there is none."""
    ranked = sorted(among, key=lambda d: not d.software)
    if not ranked:
        raise VulkanMissing("there is no Vulkan device here, not even a software one", hint=INSTALL)
    return ranked[0]
