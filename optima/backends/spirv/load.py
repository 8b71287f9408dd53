"""The run half of the GPU route: opens a subgraph's modules on a Vulkan or OpenCL device and launches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.gpu_route.errors import DeviceLacks
from optima.backends.gpu_route.executable import GpuExecutable
from optima.backends.kernel_route.checking import read_plan
from optima.backends.spirv.errors import OpenClMissing, VulkanMissing
from optima.backends.spirv.found import hardware, simulator
from optima.backends.spirv.interface import Interface
from optima.backends.spirv.meta import FORMAT_VERSION, SpirvSubgraph, own_problems


def present_for(device: DeviceRef, target: Mapping[str, Any]) -> bool:
    """Whether a hardware device of the kind takes modules of the target's flavour. A software device never counts."""
    try:
        return hardware(device, interface_of(target.get("flavour", "shader")).found_devices()) is not None
    except (VulkanMissing, OpenClMissing):
        return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> GpuExecutable:
    """Open a subgraph's kernels on its device, or on a simulator where that is absent.

    Raises BadSubgraph when ``<subgraph>.meta`` contradicts itself or the files, VulkanMissing or OpenClMissing where
    nothing can run it, DeviceLacks when the device has not what the kernels need; each names every problem found.
    """
    meta = read_plan(SpirvSubgraph, view, FORMAT_VERSION, own_problems)
    interface = interface_of(meta.flavour)
    here = interface.found_devices()
    own = hardware(device, here) if env.present else None
    found = own or simulator(here)
    lacking = interface.lacks(found, meta)
    if lacking:
        raise DeviceLacks(
            f"{found.name} cannot run {view.name}", problems=lacking[:20], hint="map these operators to X64"
        )
    opened = interface.open(found, meta, view.files, view.constants)
    env.log.info("%s: %d kernels on %s (%s)", meta.name, len(meta.kernels), found.name, device)
    return GpuExecutable(meta, opened, view.constants, runs_on="" if own else found.name)


def interface_of(flavour: str) -> Interface:
    """What runs modules of a flavour: OpenCL for "kernel", Vulkan for "shader"."""
    if flavour == "kernel":
        from optima.backends.spirv.opencl.running import OPENCL

        return OPENCL
    from optima.backends.spirv.vulkan.running import VULKAN

    return VULKAN
