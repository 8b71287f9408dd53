"""A subgraph on a Vulkan device: its pipelines and constants, and requests over them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from optima.backends.gpu_route.borders import device_inputs, device_outputs
from optima.backends.gpu_route.executable import dense_bytes
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
            copies_in, copies_out = list(self._copies_in().values()), list(self._copies_out().values())
            self._clock = Clock(device, len(copies_in) + len(self._launches) + len(copies_out) + 1)
            self._commands = self._recorder.record(copies_in, self._launches, copies_out, self._clock)
        #: what the host took to copy each border in the last run
        self._on_host_us: dict[str, float] = {}

    def run(self) -> None:
        """See ``Request``."""
        self._read_borders()
        self._device.run(self._commands, self._recorder.fence)
        self._write_borders()

    def send(self) -> None:
        """See ``Request``."""
        self._read_borders()
        self._submit(list(self._copies_in().values()))

    def launch(self, call: int) -> None:
        """See ``Request``."""
        self._submit((), [self._launches[call]])

    def receive(self) -> None:
        """See ``Request``."""
        self._submit((), (), list(self._copies_out().values()))
        self._write_borders()

    def fetch(self, buffer: str) -> Array:
        """See ``Request``."""
        region = self._regions[buffer]
        through = staged(self._device, region)
        if through is not region:
            self._submit((), (), [(region, through)])
        return _bytes(through).copy()

    def launches_us(self) -> Sequence[float]:
        """See ``Request``."""
        first = len(self._copies_in())
        return self._clock.spans_us()[first : first + len(self._launches)]

    def copies_us(self) -> Mapping[str, float]:
        """See ``Request``: the host's part, and the device's where the host cannot write its memory."""
        spans = self._clock.spans_us()
        if not spans:
            return {}
        inputs, outputs = self._copies_in(), self._copies_out()
        on_device = [*spans[: len(inputs)], *spans[len(inputs) + len(self._launches) :]]
        copied = dict(zip((*inputs, *outputs), on_device, strict=True))
        return {name: us + copied.get(name, 0.0) for name, us in self._on_host_us.items()}

    def _submit(
        self, copies_in: Sequence[Copy], launches: Sequence[tuple[CallMeta, Any]] = (), copies_out: Sequence[Copy] = ()
    ) -> None:
        commands = self._recorder.record(copies_in, launches, copies_out)
        self._device.run(commands, self._recorder.fence)

    def _copies_in(self) -> dict[str, Copy]:
        """By border, in order: none where the host writes the device's memory."""
        pairs = {n: (self._host[n], self._regions[n]) for n in device_inputs(self._meta)}
        return {n: (host, region) for n, (host, region) in pairs.items() if host is not region}

    def _copies_out(self) -> dict[str, Copy]:
        pairs = {n: (self._regions[n], self._host[n]) for n in device_outputs(self._meta)}
        return {n: (region, host) for n, (region, host) in pairs.items() if host is not region}

    def _read_borders(self) -> None:
        for name in device_inputs(self._meta):
            with self._timed(name):
                _write(self._host[name], self._borders[name])

    def _write_borders(self) -> None:
        for name in device_outputs(self._meta):
            with self._timed(name):
                dense_bytes(self._borders[name])[:] = _bytes(self._host[name])

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter_ns()
        yield
        self._on_host_us[name] = (time.perf_counter_ns() - start) / 1000


def _bytes(region: Place) -> Array:
    """The host's view of a region that it can see."""
    assert region.block.mapped is not None
    return region.block.mapped[region.offset : region.offset + region.nbytes]


def _write(region: Place, array: Array) -> None:
    _bytes(region)[:] = dense_bytes(np.ascontiguousarray(array))


VULKAN = Interface(found_devices, lambda found, meta: open_device(found).lacks(meta), VulkanSubgraph)
