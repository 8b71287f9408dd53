"""What runs modules of a flavour: Vulkan or OpenCL, seen alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devices import Problem
from optima.backends.gpu_route.executable import Opened
from optima.backends.kernel_route.buffers import Array
from optima.backends.spirv.found import FoundDevice
from optima.backends.spirv.meta import SpirvSubgraph


@dataclass(frozen=True)
class Interface:
    """What Vulkan and OpenCL each are to the loader.

    ``found_devices``: every device, in the driver's order; raises VulkanMissing or OpenClMissing where there is none.
    ``lacks``: what a device does not have of what a subgraph's kernels need. ``open``: puts a subgraph on a device,
    given its modules by file name and its constants by name; raises DeviceFailed.
    """

    found_devices: Callable[[], tuple[FoundDevice, ...]]
    lacks: Callable[[FoundDevice, SpirvSubgraph], list[Problem]]
    open: Callable[[FoundDevice, SpirvSubgraph, Mapping[str, bytes], Mapping[str, Array]], Opened]
