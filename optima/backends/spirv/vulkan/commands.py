"""Recording what a request does on the device: copies in, launches, copies out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from optima.backends.gpu_route.meta import CallMeta
from optima.backends.spirv.regions import Region
from optima.backends.spirv.vulkan.blocks import Block, released_with
from optima.backends.spirv.vulkan.clock import Clock
from optima.backends.spirv.vulkan.device import VulkanDevice, failing
from optima.backends.spirv.vulkan.pipelines import Pipeline

Place = Region[Block]
#: (source, destination): a copy of ``source.nbytes``
Copy = tuple[Place, Place]


class Recorder:
    """Command buffers and descriptor sets of one request: pools of its own, so that no other thread touches them."""

    def __init__(self, device: VulkanDevice, calls: Sequence[CallMeta], pipelines: Mapping[str, Pipeline]) -> None:
        self._device, self._pipelines = device, pipelines
        vk, handle = device.vk, device.handle
        release: list[Callable[[], None]] = []
        released_with(self, release)
        with failing("make a command buffer", device.found.name):
            fence = vk.vkCreateFence(handle, vk.VkFenceCreateInfo(), None)
            release.append(lambda: vk.vkDestroyFence(handle, fence, None))
            pool = vk.vkCreateCommandPool(handle, vk.VkCommandPoolCreateInfo(queueFamilyIndex=device.family), None)
            release.append(lambda: vk.vkDestroyCommandPool(handle, pool, None))
            self._descriptors: Any = None
            arguments = sum(len(c.args) for c in calls)
            if calls:
                descriptors = self._descriptor_pool(len(calls), max(arguments, 1))
                release.append(lambda: vk.vkDestroyDescriptorPool(handle, descriptors, None))
                self._descriptors = descriptors
        self.fence, self._pool = fence, pool

    def _descriptor_pool(self, sets: int, arguments: int) -> Any:
        vk = self._device.vk
        sizes = [vk.VkDescriptorPoolSize(type=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, descriptorCount=arguments)]
        info = vk.VkDescriptorPoolCreateInfo(maxSets=sets, poolSizeCount=1, pPoolSizes=sizes)
        return vk.vkCreateDescriptorPool(self._device.handle, info, None)

    def descriptor_set(self, call: CallMeta, regions: Mapping[str, Place]) -> Any:
        """A descriptor set that binds a call's arguments."""
        vk, device = self._device.vk, self._device.handle
        layouts = [self._pipelines[call.kernel].set_layout]
        info = vk.VkDescriptorSetAllocateInfo(
            descriptorPool=self._descriptors, descriptorSetCount=1, pSetLayouts=layouts
        )
        made = vk.vkAllocateDescriptorSets(device, info)[0]
        arguments = self._pipelines[call.kernel].meta.arguments
        for argument, name in zip(arguments, call.args, strict=True):
            region = regions[name]
            # Whole words: a kernel may read the last bytes as part of one.
            size = -(-max(region.nbytes, 4) // 4) * 4
            buffers = [vk.VkDescriptorBufferInfo(buffer=region.block.buffer, offset=region.offset, range=size)]
            write = vk.VkWriteDescriptorSet(
                dstSet=made, dstBinding=argument.binding, descriptorCount=1,
                descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, pBufferInfo=buffers,
            )  # fmt: skip
            vk.vkUpdateDescriptorSets(device, 1, [write], 0, None)
        return made

    def record(
        self,
        copies_in: Sequence[Copy],
        launches: Sequence[tuple[CallMeta, Any]],
        copies_out: Sequence[Copy],
        clock: Clock | None = None,
    ) -> Any:
        """A command buffer: copies in, ``launches`` as (call, its descriptor set) one after the other, copies out.

        ``clock`` gets a mark at the beginning, and one after each copy and each launch.
        """
        vk = self._device.vk
        with failing("record commands", self._device.found.name):
            info = vk.VkCommandBufferAllocateInfo(
                commandPool=self._pool, level=vk.VK_COMMAND_BUFFER_LEVEL_PRIMARY, commandBufferCount=1
            )
            commands = vk.vkAllocateCommandBuffers(self._device.handle, info)[0]
            vk.vkBeginCommandBuffer(commands, vk.VkCommandBufferBeginInfo())
            steps: list[Callable[[], None]] = [
                *(partial(self._copy, commands, *copy) for copy in copies_in),
                *(partial(self._launch, commands, self._pipelines[c.kernel], bound) for c, bound in launches),
                *(partial(self._copy, commands, *copy) for copy in copies_out),
            ]
            if clock:
                clock.reset(commands)
                clock.mark(commands, 0)
            for number, step in enumerate(steps, 1):
                step()
                self._barrier(commands)
                if clock:
                    clock.mark(commands, number)
            vk.vkEndCommandBuffer(commands)
        return commands

    def _launch(self, commands: Any, pipeline: Pipeline, descriptors: Any) -> None:
        vk = self._device.vk
        bind = vk.VK_PIPELINE_BIND_POINT_COMPUTE
        vk.vkCmdBindPipeline(commands, bind, pipeline.handle)
        vk.vkCmdBindDescriptorSets(commands, bind, pipeline.layout, 0, 1, [descriptors], 0, None)
        vk.vkCmdDispatch(commands, *pipeline.meta.groups)

    def _copy(self, commands: Any, source: Place, target: Place) -> None:
        vk = self._device.vk
        if source.nbytes:
            parts = [vk.VkBufferCopy(srcOffset=source.offset, dstOffset=target.offset, size=source.nbytes)]
            vk.vkCmdCopyBuffer(commands, source.block.buffer, target.block.buffer, 1, parts)

    def _barrier(self, commands: Any) -> None:
        """Everything before is done, and seen by everything behind, the host included."""
        vk = self._device.vk
        wide = vk.VK_ACCESS_MEMORY_READ_BIT | vk.VK_ACCESS_MEMORY_WRITE_BIT
        barriers = [vk.VkMemoryBarrier(srcAccessMask=wide, dstAccessMask=wide)]
        stages = vk.VK_PIPELINE_STAGE_ALL_COMMANDS_BIT
        vk.vkCmdPipelineBarrier(
            commands, stages, stages | vk.VK_PIPELINE_STAGE_HOST_BIT, 0, 1, barriers, 0, None, 0, None
        )


def staged(device: VulkanDevice, region: Place) -> Place:
    """A region of the same size that the host can read and write: itself, or one in a block of its own."""
    if region.block.mapped is not None:
        return region
    return Region(Block(device, region.nbytes, visible=True), 0, region.nbytes)
