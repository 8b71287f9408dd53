"""The run half of the GPU route: opens a subgraph's modules on a Vulkan device and launches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.gpu_route.borders import check_borders, copy_outputs, device_inputs, device_outputs
from optima.backends.gpu_route.checking import read_meta
from optima.backends.gpu_route.errors import DeviceLacks
from optima.backends.gpu_route.meta import CallMeta
from optima.backends.llvm.buffers import Array, alias_roots
from optima.backends.spirv.blocks import Block, Region, packed
from optima.backends.spirv.commands import Copy, Recorder, staged
from optima.backends.spirv.device import VulkanDevice, open_device
from optima.backends.spirv.devices_here import VulkanMissing, found_devices, hardware, simulator
from optima.backends.spirv.meta import FORMAT_VERSION, SpirvSubgraph
from optima.backends.spirv.pipelines import Pipelines


def present(device: DeviceRef) -> bool:
    """Whether a hardware device of the kind is here, with a Vulkan driver. A software device never counts."""
    try:
        return hardware(device, found_devices()) is not None
    except VulkanMissing:
        return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> SpirvExecutable:
    """Open a subgraph's kernels on its device, or on a simulator where that is absent.

    Raises BadSubgraph when ``<subgraph>.meta`` contradicts itself or the files, VulkanMissing where nothing can run
    it, DeviceLacks when the device has not what the kernels need; each names every problem found.
    """
    meta = read_meta(SpirvSubgraph, view, FORMAT_VERSION)
    found = hardware(device, found_devices()) if env.present else None
    opened = open_device(found or simulator(found_devices()))
    lacking = opened.lacks(meta)
    if lacking:
        raise DeviceLacks(
            f"{opened.found.name} cannot run {view.name}", problems=lacking[:20], hint="map these operators to X64"
        )
    pipelines = Pipelines(opened, {k.name: (k, view.files[k.file]) for k in meta.kernels})
    env.log.info("%s: %d kernels on %s (%s)", meta.name, len(meta.kernels), opened.found.name, device)
    return SpirvExecutable(opened, meta, pipelines, view.constants)


class SpirvExecutable:
    """A loaded subgraph: pipelines, and constants in device memory, shared by all requests."""

    def __init__(
        self, device: VulkanDevice, meta: SpirvSubgraph, pipelines: Pipelines, constants: Mapping[str, Array]
    ) -> None:
        self.device, self.meta, self.pipelines, self.constants = device, meta, pipelines, constants
        self.regions = packed(device, [b for b in meta.buffers if b.kind == "constant"])
        self._upload({name: constants[name] for name in self.regions})

    def _upload(self, arrays: Mapping[str, Array]) -> None:
        """Write constants to device memory, through the host's view of it or by a copy."""
        for name, array in arrays.items():
            region = self.regions[name]
            through = staged(self.device, region)
            _write(through, array)
            if through is not region:
                recorder = Recorder(self.device, (), {})
                self.device.run(recorder.record([(through, region)], (), ()), recorder.fence)

    def bind(self, borders: Mapping[str, Array]) -> SpirvInvocation:
        """Private buffers of one request, and its commands, recorded once.

        ``borders`` maps every input and output to a dense array. Raises UserError naming those that are missing or
        have another shape or dtype, DeviceFailed where the device's memory does not suffice.
        """
        check_borders(self.meta, borders)
        return SpirvInvocation(self, borders)


class SpirvInvocation:
    """One request's buffers and commands over one subgraph."""

    def __init__(self, executable: SpirvExecutable, borders: Mapping[str, Array]) -> None:
        meta, device = executable.meta, executable.device
        self._executable, self._borders, self._meta, self._device = executable, borders, meta, device
        self._regions = _regions(executable)
        self._host = {b.name: staged(device, self._regions[b.name]) for b in meta.buffers if b.kind == "border"}
        self._recorder = Recorder(device, meta.calls, executable.pipelines.by_name)
        # Allocating from a pipeline's layout is safe; the package's own bookkeeping is what the lock is for.
        with executable.pipelines.lock:
            self._launches = [(c, self._recorder.descriptor_set(c, self._regions)) for c in meta.calls]
            self._commands = self._recorder.record(self._copies_in(), self._launches, self._copies_out())

    def run(self) -> None:
        """Copy the inputs in, launch every kernel, copy the outputs out. Raises DeviceFailed."""
        self._read_borders()
        self._device.run(self._commands, self._recorder.fence)
        self._write_borders()

    def timings(self) -> Sequence[tuple[str, float]]:
        """None: the kernels of a subgraph run as one submission."""
        return ()

    def trace(self) -> dict[str, Array]:
        """Run launch by launch; copies of all that each group of launches leaves behind, by graph name."""
        seen = {name: self._borders[name].copy() for name in self._meta.inputs}
        self._read_borders()
        self._submit(self._copies_in(), ())
        for call, descriptors in self._launches:
            self._submit((), [(call, descriptors)])
            for name in call.results:
                seen.update(self._with_aliases(name))
        self._submit((), (), self._copies_out())
        self._write_borders()
        seen.update({name: self._borders[name].copy() for name in self._meta.outputs})
        return seen

    def _with_aliases(self, name: str) -> dict[str, Array]:
        buffers = [b for b in self._meta.buffers if b.name == name or b.alias_of == name]
        return {b.name: self._read(self._regions[b.name]).view(b.numpy_dtype).reshape(b.shape) for b in buffers}

    def _read(self, region: Region) -> Array:
        """A copy of a region's bytes."""
        through = staged(self._device, region)
        if through is not region:
            self._submit((), (), [(region, through)])
        return _bytes(through).copy()

    def _submit(
        self, copies_in: Sequence[Copy], launches: Sequence[tuple[CallMeta, Any]], copies_out: Sequence[Copy] = ()
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
            target = self._borders[name]
            np.copyto(target, _bytes(self._host[name]).view(target.dtype).reshape(target.shape))
        copy_outputs(self._meta, self._borders, self._executable.constants)


def _regions(executable: SpirvExecutable) -> dict[str, Region]:
    """Every buffer of the subgraph as a part of device memory; borders and arena are this request's own."""
    meta = executable.meta
    regions = dict(executable.regions)
    regions |= packed(executable.device, [b for b in meta.buffers if b.kind == "border"])
    arena = Block(executable.device, meta.arena_bytes, visible=False) if meta.arena_bytes else None
    for buffer in meta.buffers:
        if buffer.kind == "scratch" and arena is not None:
            regions[buffer.name] = Region(arena, buffer.offset, buffer.nbytes)
    roots = alias_roots(meta)
    for buffer in meta.buffers:
        if buffer.kind == "alias":
            regions[buffer.name] = regions[roots[buffer.name]]
    return regions


def _bytes(region: Region) -> Array:
    """The host's view of a region that it can see."""
    assert region.block.mapped is not None
    return region.block.mapped[region.offset : region.offset + region.nbytes]


def _write(region: Region, array: Array) -> None:
    _bytes(region)[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
