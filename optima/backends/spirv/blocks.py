"""Blocks of device memory, and which parts of them a subgraph's buffers are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optima.backends.gpu_route.meta import ALIGNMENT
from optima.backends.llvm.memory import aligned
from optima.backends.llvm.meta import BufferMeta
from optima.backends.spirv.device import VulkanDevice, failing

#: constants lie in blocks of at most this many bytes: a device need not give more in one piece
_BLOCK_BYTES = 1 << 28
_DEVICE_LOCAL, _VISIBLE, _COHERENT, _CACHED = 1, 2, 4, 8


class Block:
    """A buffer with memory of its own, freed with the object. ``mapped`` is the host's view, None where it has none.

    ``visible``: the host copies to and from it; otherwise it is the device's own memory, and mapped only where the
    host shares that.
    """

    def __init__(self, device: VulkanDevice, nbytes: int, *, visible: bool) -> None:
        vk, self.nbytes = device.vk, max(nbytes, ALIGNMENT)
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


@dataclass(frozen=True)
class Region:
    """A part of a block."""

    block: Block
    offset: int
    nbytes: int


def packed(device: VulkanDevice, buffers: Iterable[BufferMeta]) -> dict[str, Region]:
    """A region in the device's memory for each buffer, by name, in as few blocks as may be."""
    groups: list[tuple[int, dict[str, tuple[int, int]]]] = []
    for buffer in buffers:
        size = aligned(max(buffer.nbytes, 1), ALIGNMENT)
        if not groups or groups[-1][0] + size > _BLOCK_BYTES:
            groups.append((0, {}))
        end, places = groups[-1]
        places[buffer.name] = (end, buffer.nbytes)
        groups[-1] = (end + size, places)
    regions: dict[str, Region] = {}
    for total, places in groups:
        block = Block(device, total, visible=False)
        regions |= {name: Region(block, offset, nbytes) for name, (offset, nbytes) in places.items()}
    return regions
