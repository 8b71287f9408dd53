"""Blocks of device memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from optima.backends.spirv.vulkan.device import VulkanDevice, failing

#: no buffer of Vulkan's is empty
_LEAST_BYTES = 256
_DEVICE_LOCAL, _VISIBLE, _COHERENT, _CACHED = 1, 2, 4, 8


class Block:
    """A buffer with memory of its own, freed with the object. ``mapped`` is the host's view, None where it has none.

    ``visible``: the host copies to and from it; otherwise it is the device's own memory, and mapped only where the
    host shares that.
    """

    def __init__(self, device: VulkanDevice, nbytes: int, *, visible: bool) -> None:
        vk, self.nbytes = device.vk, max(nbytes, _LEAST_BYTES)
        usage = (
            vk.VK_BUFFER_USAGE_STORAGE_BUFFER_BIT
            | vk.VK_BUFFER_USAGE_TRANSFER_SRC_BIT
            | vk.VK_BUFFER_USAGE_TRANSFER_DST_BIT
        )
        with failing(f"allocate {self.nbytes:,} bytes", device.found.name):
            self.buffer = vk.vkCreateBuffer(device.handle, vk.VkBufferCreateInfo(size=self.nbytes, usage=usage), None)
            buffer = self.buffer
            release: list[Callable[[], None]] = [lambda: vk.vkDestroyBuffer(device.handle, buffer, None)]
            released_with(self, release)
            needs = vk.vkGetBufferMemoryRequirements(device.handle, self.buffer)
            host, own = _VISIBLE | _COHERENT, _DEVICE_LOCAL
            wanted = (host | _CACHED, host) if visible else (own | host, own, 0)
            kind = device.memory_type(needs.memoryTypeBits, wanted)
            allocation = vk.VkMemoryAllocateInfo(allocationSize=needs.size, memoryTypeIndex=kind)
            memory = vk.vkAllocateMemory(device.handle, allocation, None)
            release.append(lambda: vk.vkFreeMemory(device.handle, memory, None))
            vk.vkBindBufferMemory(device.handle, self.buffer, memory, 0)
            self.mapped: np.ndarray[Any, Any] | None = None
            if device.is_host_memory(kind):
                view = vk.vkMapMemory(device.handle, memory, 0, self.nbytes, 0)
                self.mapped = np.frombuffer(view, np.uint8)


def released_with(owner: object, release: list[Callable[[], None]]) -> None:
    """Run ``release`` in order once ``owner`` is gone; at the process's end the driver does so itself."""

    def free() -> None:
        for step in release:
            step()

    weakref.finalize(owner, free).atexit = False
