"""A subgraph on a Vulkan device: its pipelines and constants, and requests over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from optima.backends.gpu_route.borders import device_inputs, device_outputs
from optima.backends.gpu_route.executable import FROM_DEVICE, TO_DEVICE, dense_bytes
from optima.backends.gpu_route.meta import CallMeta
from optima.backends.kernel_route.buffers import Array
from optima.backends.spirv.found import FoundDevice
from optima.backends.spirv.interface import Interface
from optima.backends.spirv.meta import SpirvSubgraph
from optima.backends.spirv.regions import of_request, packed
from optima.backends.spirv.vulkan.blocks import Block
from optima.backends.spirv.vulkan.clock import Clock
from optima.backends.spirv.vulkan.commands import Copy, Place, Recorder, staged
from optima.backends.spirv.vulkan.device import open_device
from optima.backends.spirv.vulkan.devices_here import found_devices
from optima.backends.spirv.vulkan.pipelines import Pipelines


class VulkanSubgraph:
    """Pipelines, and constants in device memory, shared by all requests."""

    def __init__(
        self, found: FoundDevice, meta: SpirvSubgraph, modules: Mapping[str, bytes], constants: Mapping[str, Array]
    ) -> None:
        device = open_device(found)
        self.device, self.meta = device, meta
        self.pipelines = Pipelines(device, {k.name: (k, modules[k.file]) for k in meta.kernels})
        self.allocate = partial(Block, device, visible=False)
        self.constants = packed(self.allocate, [b for b in meta.buffers if b.kind == "constant"], meta.alignment)
        for name, region in self.constants.items():
            self._upload(constants[name], region)

    def _upload(self, array: Array, region: Place) -> None:
        """Write a constant to device memory, through the host's view of it or by a copy."""
        through = staged(self.device, region)
        _write(through, array)
        if through is not region:
            recorder = Recorder(self.device, (), {})
            self.device.run(recorder.record([(through, region)], (), ()), recorder.fence)

    def request(self, borders: Mapping[str, Array]) -> VulkanRequest:
        """See ``Opened``."""
        return VulkanRequest(self, borders)


class VulkanRequest:
    """One request's memory, and its commands, recorded once."""

    def __init__(self, subgraph: VulkanSubgraph, borders: Mapping[str, Array]) -> None:
        meta, device = subgraph.meta, subgraph.device
        self._subgraph, self._meta, self._device, self._borders = subgraph, meta, device, borders
        self._regions = of_request(subgraph.allocate, meta, subgraph.constants)
        self._host = {b.name: staged(device, self._regions[b.name]) for b in meta.buffers if b.kind == "border"}
        self._recorder = Recorder(device, meta.calls, subgraph.pipelines.by_name)
        # Allocating from a pipeline's layout is safe; the package's own bookkeeping is what the lock is for.
        with subgraph.pipelines.lock:
            self._launches = [(c, self._recorder.descriptor_set(c, self._regions)) for c in meta.calls]
            self._clock = Clock(device, len(meta.calls) + 3)
            self._commands = self._recorder.record(self._copies_in(), self._launches, self._copies_out(), self._clock)

    def run(self) -> None:
        """See ``Request``."""
        self._read_borders()
        self._device.run(self._commands, self._recorder.fence)
        self._write_borders()

    def send(self) -> None:
        """See ``Request``."""
        self._read_borders()
        self._submit(self._copies_in())

    def launch(self, call: int) -> None:
        """See ``Request``."""
        self._submit((), [self._launches[call]])

    def receive(self) -> None:
        """See ``Request``."""
        self._submit((), (), self._copies_out())
        self._write_borders()

    def fetch(self, buffer: str) -> Array:
        """See ``Request``."""
        region = self._regions[buffer]
        through = staged(self._device, region)
        if through is not region:
            self._submit((), (), [(region, through)])
        return _bytes(through).copy()

    def timings(self) -> Sequence[tuple[str, float]]:
        """See ``Request``: by the device's own clock, nothing where it has none."""
        names = [TO_DEVICE, *(call.kernel for call in self._meta.calls), FROM_DEVICE]
        return tuple(zip(names, self._clock.spans_us(), strict=False))

    def _submit(
        self, copies_in: Sequence[Copy], launches: Sequence[tuple[CallMeta, Any]] = (), copies_out: Sequence[Copy] = ()
    ) -> None:
        commands = self._recorder.record(copies_in, launches, copies_out)
        self._device.run(commands, self._recorder.fence)

    def _copies_in(self) -> list[Copy]:
        pairs = [(self._host[n], self._regions[n]) for n in device_inputs(self._meta)]
        return [(host, region) for host, region in pairs if host is not region]

    def _copies_out(self) -> list[Copy]:
        pairs = [(self._regions[n], self._host[n]) for n in device_outputs(self._meta)]
        return [(region, host) for region, host in pairs if host is not region]

    def _read_borders(self) -> None:
        for name in device_inputs(self._meta):
            _write(self._host[name], self._borders[name])

    def _write_borders(self) -> None:
        for name in device_outputs(self._meta):
            dense_bytes(self._borders[name])[:] = _bytes(self._host[name])


def _bytes(region: Place) -> Array:
    """The host's view of a region that it can see."""
    assert region.block.mapped is not None
    return region.block.mapped[region.offset : region.offset + region.nbytes]


def _write(region: Place, array: Array) -> None:
    _bytes(region)[:] = dense_bytes(np.ascontiguousarray(array))


VULKAN = Interface(found_devices, lambda found, meta: open_device(found).lacks(meta), VulkanSubgraph)
