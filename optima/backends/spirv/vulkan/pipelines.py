"""A subgraph's kernels on a device: one pipeline each, shared by all requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optima.backends.spirv.meta import KernelMeta
from optima.backends.spirv.vulkan.blocks import released_with
from optima.backends.spirv.vulkan.device import VulkanDevice, failing


@dataclass(frozen=True)
class Pipeline:
    """A kernel that a command buffer can dispatch: its storage buffers are bindings 0, 1, ... of set 0."""

    meta: KernelMeta
    handle: Any
    layout: Any
    set_layout: Any


class Pipelines:
    """The pipelines of one subgraph, made at load and destroyed with the object."""

    def __init__(self, device: VulkanDevice, kernels: Mapping[str, tuple[KernelMeta, bytes]]) -> None:
        self._release: list[Callable[[], None]] = []
        released_with(self, self._release)
        self._device = device
        self.lock = threading.Lock()
        self.by_name = {name: self._make(meta, module) for name, (meta, module) in kernels.items()}

    def _make(self, meta: KernelMeta, module: bytes) -> Pipeline:
        with failing(f"take the kernel {meta.name}", self._device.found.name):
            set_layout, layout = self._layouts(meta)
            return Pipeline(meta, self._pipeline(meta, module, layout), layout, set_layout)

    def _layouts(self, meta: KernelMeta) -> tuple[Any, Any]:
        vk, device = self._device.vk, self._device.handle
        bindings = [
            vk.VkDescriptorSetLayoutBinding(
                binding=argument.binding, descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                descriptorCount=1, stageFlags=vk.VK_SHADER_STAGE_COMPUTE_BIT,
            )
            for argument in meta.arguments
        ]  # fmt: skip
        info = vk.VkDescriptorSetLayoutCreateInfo(bindingCount=len(bindings), pBindings=bindings)
        set_layout = vk.vkCreateDescriptorSetLayout(device, info, None)
        self._release.append(lambda: vk.vkDestroyDescriptorSetLayout(device, set_layout, None))
        layouts = [set_layout]
        layout = vk.vkCreatePipelineLayout(
            device, vk.VkPipelineLayoutCreateInfo(setLayoutCount=1, pSetLayouts=layouts), None
        )
        self._release.append(lambda: vk.vkDestroyPipelineLayout(device, layout, None))
        return set_layout, layout

    def _pipeline(self, meta: KernelMeta, module: bytes, layout: Any) -> Any:
        vk, device = self._device.vk, self._device.handle
        shader = vk.vkCreateShaderModule(device, vk.VkShaderModuleCreateInfo(codeSize=len(module), pCode=module), None)
        try:
            # In variables of their own: the package frees a name inside an inline structure.
            entry = meta.entry_point
            stage = vk.VkPipelineShaderStageCreateInfo(stage=vk.VK_SHADER_STAGE_COMPUTE_BIT, module=shader, pName=entry)
            infos = [vk.VkComputePipelineCreateInfo(stage=stage, layout=layout)]
            made = vk.vkCreateComputePipelines(device, None, 1, infos, None)
            pipeline = made[0] if hasattr(made, "__getitem__") else made
        finally:
            vk.vkDestroyShaderModule(device, shader, None)
        self._release.append(lambda: vk.vkDestroyPipeline(device, pipeline, None))
        return pipeline
