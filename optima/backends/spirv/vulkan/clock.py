"""Times of the steps of a request's commands, by the device's own clock."""

from __future__ import annotations

from typing import Any

from optima.backends.spirv.vulkan.blocks import released_with
from optima.backends.spirv.vulkan.device import VulkanDevice, failing


class Clock:
    """``marks`` timestamps; of a device without them (``timestampValidBits`` is 0) nothing is asked."""

    def __init__(self, device: VulkanDevice, marks: int) -> None:
        vk = device.vk
        self._device, self._marks = device, marks
        self._bits, self._pool = device.timestamp_bits, None
        if self._bits:
            info = vk.VkQueryPoolCreateInfo(queryType=vk.VK_QUERY_TYPE_TIMESTAMP, queryCount=marks)
            with failing("make a clock", device.found.name):
                pool = vk.vkCreateQueryPool(device.handle, info, None)
            released_with(self, [lambda: vk.vkDestroyQueryPool(device.handle, pool, None)])
            self._pool = pool

    def reset(self, commands: Any) -> None:
        """Record that the marks are to be set anew."""
        if self._pool is not None:
            self._device.vk.vkCmdResetQueryPool(commands, self._pool, 0, self._marks)

    def mark(self, commands: Any, number: int) -> None:
        """Record the time at which everything before is done."""
        if self._pool is not None:
            vk = self._device.vk
            vk.vkCmdWriteTimestamp(commands, vk.VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, self._pool, number)

    def spans_us(self) -> list[float]:
        """Microseconds from each mark to the next in the commands that ran last; nothing where there is no clock."""
        if self._pool is None:
            return []
        vk, device = self._device.vk, self._device
        ticks = vk.ffi.new("uint64_t[]", self._marks)
        with failing("tell the times", device.found.name):
            vk.vkGetQueryPoolResults(
                device.handle, self._pool, 0, self._marks, 8 * self._marks, ticks, 8,
                vk.VK_QUERY_RESULT_64_BIT | vk.VK_QUERY_RESULT_WAIT_BIT,
            )  # fmt: skip
        wrap = 1 << self._bits
        steps = [(ticks[k + 1] - ticks[k]) % wrap for k in range(self._marks - 1)]
        return [step * device.limits.timestampPeriod / 1000 for step in steps]
