"""Which Vulkan devices this machine has."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from optima.backends.spirv.errors import VulkanMissing
from optima.backends.spirv.found import VENDORS, FoundDevice

INSTALL = (
    "in Optima's clone: pip install '.[spirv]', and the device's Vulkan driver "
    "(apt-get install libvulkan1 mesa-vulkan-drivers)"
)

_IS_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_VULKAN_1_1 = (1 << 22) | (1 << 12)
_VULKAN_1_2 = (1 << 22) | (2 << 12)


def api() -> Any:
    """The ``vulkan`` package. Raises VulkanMissing where it, or the loader that it opens, is absent."""
    try:
        import vulkan
    except (ImportError, OSError) as error:
        raise VulkanMissing(f"Vulkan is not here: {error}", hint=INSTALL) from None
    return vulkan


@cache
def found_devices() -> tuple[FoundDevice, ...]:
    """Every Vulkan 1.1 device, in the loader's order. Raises VulkanMissing where there is none."""
    vk = api()
    application = vk.VkApplicationInfo(pApplicationName="optima", apiVersion=_VULKAN_1_2)
    try:
        instance = vk.vkCreateInstance(vk.VkInstanceCreateInfo(pApplicationInfo=application), None)
        handles = list(vk.vkEnumeratePhysicalDevices(instance))
    except vk.VkError as error:
        raise VulkanMissing(f"Vulkan has no driver here: {type(error).__name__}", hint=INSTALL) from None
    found = [(handle, vk.vkGetPhysicalDeviceProperties(handle)) for handle in handles]
    devices = tuple(
        FoundDevice(str(p.deviceName), VENDORS.get(int(p.vendorID)), int(p.deviceType) == _IS_CPU, handle)
        for handle, p in found
        if p.apiVersion >= _VULKAN_1_1
    )
    if not devices:
        raise VulkanMissing("there is no Vulkan device here, not even a software one", hint=INSTALL)
    return devices


os.register_at_fork(after_in_child=found_devices.cache_clear)
