"""An open Vulkan device: its queue, what it can do, and its memory. One per physical device and process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from devices import Problem
from optima.backends.gpu_route.errors import DeviceFailed, DeviceLacks
from optima.backends.spirv.found import FoundDevice
from optima.backends.spirv.meta import SpirvSubgraph
from optima.backends.spirv.vulkan.devices_here import api

_EXTENSIONS = ("VK_KHR_8bit_storage", "VK_KHR_16bit_storage", "VK_KHR_shader_float16_int8")
_FEATURES = {
    "Float64": "shaderFloat64",
    "Int64": "shaderInt64",
    "Int16": "shaderInt16",
    "StorageBuffer16BitAccess": "storageBuffer16BitAccess",
    "StorageBuffer8BitAccess": "storageBuffer8BitAccess",
    "Float16": "shaderFloat16",
    "Int8": "shaderInt8",
}
#: lavapipe ends every loop of an invocation for good after so many rounds in all, without a word
_SOFTWARE_ROUNDS = 65_535
_FOR_EVER_NS = 2**64 - 1


class VulkanDevice:
    """One device for the whole process. The queue is guarded: several requests submit to it."""

    def __init__(self, found: FoundDevice) -> None:
        vk = api()
        self.vk, self.found, self._process = vk, found, os.getpid()
        # Kept whole: its members live as long as it does.
        self._properties = vk.vkGetPhysicalDeviceProperties(found.handle)
        self.limits = self._properties.limits
        self.features = _features(vk, found.handle)
        family = _compute_family(vk, found)
        self.family = family
        self.timestamp_bits = int(vk.vkGetPhysicalDeviceQueueFamilyProperties(found.handle)[family].timestampValidBits)
        with failing("open the device", found.name):
            self.handle = vk.vkCreateDevice(found.handle, _creation(vk, found.handle, family, self.features), None)
        self.queue = vk.vkGetDeviceQueue(self.handle, family, 0)
        self._lock = threading.Lock()
        self._types = _memory_types(vk, found.handle)

    def lacks(self, meta: SpirvSubgraph) -> list[Problem]:
        """What the device does not have of what a subgraph's kernels need."""
        problems = []
        for kernel in meta.kernels:
            missing = [c for c in kernel.capabilities if c != "Shader" and not self.features.get(c, False)]
            if missing:
                problems.append(Problem(kernel.name, f"needs {', '.join(missing)}"))
            threads = kernel.threads[0] * kernel.threads[1] * kernel.threads[2]
            if threads > self.limits.maxComputeWorkGroupInvocations:
                problems.append(Problem(kernel.name, f"needs workgroups of {threads} invocations"))
            if kernel.shared_bytes > self.limits.maxComputeSharedMemorySize:
                problems.append(Problem(kernel.name, f"needs {kernel.shared_bytes} bytes of shared memory"))
            if any(n > m for n, m in zip(kernel.groups, self.limits.maxComputeWorkGroupCount, strict=True)):
                problems.append(Problem(kernel.name, f"needs {list(kernel.groups)} workgroups"))
            if self.found.software and kernel.rounds > _SOFTWARE_ROUNDS:
                problems.append(Problem(kernel.name, f"needs {kernel.rounds:,} rounds of its loops in one thread"))
            if len(kernel.arguments) > self.limits.maxPerStageDescriptorStorageBuffers:
                problems.append(Problem(kernel.name, f"needs {len(kernel.arguments)} storage buffers"))
        largest = self.limits.maxStorageBufferRange
        problems += [
            Problem(b.name, f"has {b.nbytes:,} bytes, and a buffer may have {largest:,}")
            for b in meta.buffers
            if b.nbytes > largest
        ]
        return problems

    def memory_type(self, allowed: int, wanted: Sequence[int]) -> int:
        """The first memory type that ``allowed`` (a bit mask) has with one of the ``wanted`` property masks."""
        for flags in wanted:
            for index, properties in enumerate(self._types):
                if allowed >> index & 1 and properties & flags == flags:
                    return index
        raise DeviceFailed(f"{self.found.name} has no memory of a kind that is needed", hint="use another device")

    def is_host_memory(self, kind: int) -> bool:
        """Whether the host may map memory of a type, and sees it without flushes."""
        return self._types[kind] & 6 == 6  # host visible, host coherent

    def run(self, commands: Any, fence: Any) -> None:
        """Submit a command buffer and wait for its end. Other threads may do so at the same time."""
        if self._process != os.getpid():
            raise DeviceFailed("a Vulkan device does not survive a fork", hint="load the model in the child process")
        vk = self.vk
        # Kept in variables: the package frees what an inline structure points to.
        buffers = [commands]
        submit = vk.VkSubmitInfo(commandBufferCount=1, pCommandBuffers=buffers)
        with failing("run", self.found.name):
            vk.vkResetFences(self.handle, 1, [fence])
            with self._lock:
                vk.vkQueueSubmit(self.queue, 1, [submit], fence)
            vk.vkWaitForFences(self.handle, 1, [fence], True, _FOR_EVER_NS)


@contextmanager
def failing(what: str, name: str) -> Iterator[None]:
    """Turns Vulkan's errors into DeviceFailed: ``what`` could not be done on the device ``name``."""
    vk = api()
    try:
        yield
    except vk.VkError as error:
        raise DeviceFailed(
            f"{name} could not {what}: {type(error).__name__}", hint="use fewer requests at a time, or another device"
        ) from error


@cache
def open_device(found: FoundDevice) -> VulkanDevice:
    """The process's device for a physical one."""
    return VulkanDevice(found)


os.register_at_fork(after_in_child=open_device.cache_clear)


def _compute_family(vk: Any, found: FoundDevice) -> int:
    families = vk.vkGetPhysicalDeviceQueueFamilyProperties(found.handle)
    for index, family in enumerate(families):
        if family.queueFlags & vk.VK_QUEUE_COMPUTE_BIT:
            return index
    raise DeviceLacks(f"{found.name} has no queue that computes", hint="use another device")


def _extensions(vk: Any, handle: Any) -> set[str]:
    return {str(e.extensionName) for e in vk.vkEnumerateDeviceExtensionProperties(handle, None)}


def _chain(vk: Any) -> tuple[Any, ...]:
    """The structures that hold the features which are no part of Vulkan 1.0, the first pointing to the next."""
    narrow = vk.VkPhysicalDeviceShaderFloat16Int8Features()
    bits16 = vk.VkPhysicalDevice16BitStorageFeatures(pNext=narrow)
    bits8 = vk.VkPhysicalDevice8BitStorageFeatures(pNext=bits16)
    return bits8, bits16, narrow


def _features(vk: Any, handle: Any) -> Mapping[str, bool]:
    """SPIR-V's name of a capability -> whether the device has it."""
    chain = _chain(vk)
    query = vk.VkPhysicalDeviceFeatures2(pNext=chain[0])
    vk.vkGetPhysicalDeviceFeatures2(handle, query)
    sources = (query.features, *chain)
    return {
        capability: any(bool(getattr(source, name, 0)) for source in sources) for capability, name in _FEATURES.items()
    }


def _creation(vk: Any, handle: Any, family: int, features: Mapping[str, bool]) -> Any:
    """The creation of a device with one queue, and every feature switched on that kernels may ask for."""
    chain = _chain(vk)
    wanted = vk.VkPhysicalDeviceFeatures2(pNext=chain[0])
    for capability, name in _FEATURES.items():
        for target in (wanted.features, *chain):
            if features[capability] and hasattr(target, name):
                setattr(target, name, 1)
    priorities = [1.0]
    queues = [vk.VkDeviceQueueCreateInfo(queueFamilyIndex=family, queueCount=1, pQueuePriorities=priorities)]
    names = sorted(_extensions(vk, handle) & set(_EXTENSIONS))
    return vk.VkDeviceCreateInfo(
        pNext=wanted, queueCreateInfoCount=1, pQueueCreateInfos=queues,
        enabledExtensionCount=len(names), ppEnabledExtensionNames=names,
    )  # fmt: skip


def _memory_types(vk: Any, handle: Any) -> list[int]:
    properties = vk.vkGetPhysicalDeviceMemoryProperties(handle)
    return [int(properties.memoryTypes[i].propertyFlags) for i in range(properties.memoryTypeCount)]
