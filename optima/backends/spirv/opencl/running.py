"""A subgraph on an OpenCL device: its programs and constants, and requests over them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optima.backends.gpu_route.borders import device_inputs, device_outputs
from optima.backends.gpu_route.executable import dense_bytes
from optima.backends.gpu_route.meta import CallMeta
from optima.backends.kernel_route.buffers import Array
from optima.backends.spirv.found import FoundDevice
from optima.backends.spirv.interface import Interface
from optima.backends.spirv.meta import KernelMeta, SpirvSubgraph
from optima.backends.spirv.opencl.device import failing, open_device
from optima.backends.spirv.opencl.devices_here import found_devices
from optima.backends.spirv.regions import Region, of_request, packed


class OpenClSubgraph:
    """Programs, and constants in device memory, shared by all requests."""

    def __init__(
        self, found: FoundDevice, meta: SpirvSubgraph, modules: Mapping[str, bytes], constants: Mapping[str, Array]
    ) -> None:
        self.device, self.meta = open_device(found), meta
        self.kernels = {kernel.name: kernel for kernel in meta.kernels}
        self.programs = {kernel.name: self._program(kernel, modules[kernel.file]) for kernel in meta.kernels}
        self.constants = packed(self.allocate, [b for b in meta.buffers if b.kind == "constant"], meta.alignment)
        queue = self.queue()
        with failing("take the constants", found.name):
            for name, region in self.constants.items():
                if region.nbytes:
                    send(self.device.cl, queue, region, constants[name])
            queue.finish()

    def allocate(self, nbytes: int) -> Any:
        """A buffer of device memory."""
        cl = self.device.cl
        with failing(f"allocate {nbytes:,} bytes", self.device.found.name):
            return cl.Buffer(self.device.context, cl.mem_flags.READ_WRITE, max(nbytes, 1))

    def queue(self) -> Any:
        """A queue that runs its commands in order, and says how long each took."""
        cl = self.device.cl
        with failing("make a queue", self.device.found.name):
            return cl.CommandQueue(self.device.context, properties=cl.command_queue_properties.PROFILING_ENABLE)

    def request(self, borders: Mapping[str, Array]) -> OpenClRequest:
        """See ``Opened``."""
        return OpenClRequest(self, borders)

    def _program(self, kernel: KernelMeta, module: bytes) -> Any:
        cl = self.device.cl
        with failing(f"take the kernel {kernel.name}", self.device.found.name), warnings.catch_warnings():
            warnings.simplefilter("ignore", cl.CompilerWarning)  # that the driver said something while it built
            # cache_dir=False: the package would keep binaries of its own in the user's home.
            return cl.Program(self.device.context, module).build(cache_dir=False)


class OpenClRequest:
    """One request's memory, and its kernels with their arguments set once."""

    def __init__(self, subgraph: OpenClSubgraph, borders: Mapping[str, Array]) -> None:
        self._subgraph, self._meta, self._borders = subgraph, subgraph.meta, borders
        self._cl, self._name = subgraph.device.cl, subgraph.device.found.name
        self._regions = of_request(subgraph.allocate, subgraph.meta, subgraph.constants)
        self._queue = subgraph.queue()
        with failing("prepare the launches", self._name):
            self._launches = [self._prepared(call) for call in subgraph.meta.calls]
        #: events of the last run: the copy of each border, and each launch
        self._copied: dict[str, Any] = {}
        self._launched: list[Any] = []

    def run(self) -> None:
        """See ``Request``."""
        self._subgraph.device.same_process()
        with failing("run", self._name):
            sent = self._enqueue_inputs()
            launched = [self._enqueue(number) for number in range(len(self._launches))]
            received = self._enqueue_outputs()
            self._queue.finish()
            self._copied, self._launched = {**sent, **received}, launched

    def send(self) -> None:
        """See ``Request``."""
        self._subgraph.device.same_process()
        with failing("take the inputs", self._name):
            self._enqueue_inputs()
            self._queue.finish()

    def launch(self, call: int) -> None:
        """See ``Request``."""
        with failing(f"run {self._meta.calls[call].kernel}", self._name):
            self._enqueue(call)
            self._queue.finish()

    def receive(self) -> None:
        """See ``Request``."""
        with failing("give the outputs", self._name):
            self._enqueue_outputs()
            self._queue.finish()

    def fetch(self, buffer: str) -> Array:
        """See ``Request``."""
        found = np.empty(self._regions[buffer].nbytes, np.uint8)
        with failing(f"give {buffer}", self._name):
            if found.nbytes:
                self._receive(found, self._regions[buffer])
            self._queue.finish()
        return found

    def launches_us(self) -> Sequence[float]:
        """See ``Request``."""
        with failing("tell the times", self._name):
            return [_microseconds(event) for event in self._launched]

    def copies_us(self) -> Mapping[str, float]:
        """See ``Request``: nothing is copied of an empty border."""
        names = (*device_inputs(self._meta), *device_outputs(self._meta))
        with failing("tell the times", self._name):
            return {n: _microseconds(self._copied[n]) if n in self._copied else 0.0 for n in names}

    def _prepared(self, call: CallMeta) -> tuple[Any, tuple[int, ...], tuple[int, ...], list[Any]]:
        """(kernel with its arguments, all invocations, invocations of a workgroup, what must outlive the kernel)."""
        meta = self._subgraph.kernels[call.kernel]
        # A kernel object of its own: setting arguments is not safe between threads.
        kernel = self._cl.Kernel(self._subgraph.programs[call.kernel], meta.entry_point)
        buffers = [part(self._regions[name]) for name in call.args]
        for argument, buffer in zip(meta.arguments, buffers, strict=True):
            kernel.set_arg(argument.binding, buffer)
        size = tuple(g * t for g, t in zip(meta.groups, meta.threads, strict=True))
        return kernel, size, meta.threads, buffers

    def _enqueue(self, number: int) -> Any:
        kernel, size, threads, _ = self._launches[number]
        return self._cl.enqueue_nd_range_kernel(self._queue, kernel, size, threads)

    def _enqueue_inputs(self) -> dict[str, Any]:
        names = [name for name in device_inputs(self._meta) if self._regions[name].nbytes]
        return {name: send(self._cl, self._queue, self._regions[name], self._borders[name]) for name in names}

    def _enqueue_outputs(self) -> dict[str, Any]:
        names = [name for name in device_outputs(self._meta) if self._regions[name].nbytes]
        return {name: self._receive(dense_bytes(self._borders[name]), self._regions[name]) for name in names}

    def _receive(self, target: Array, region: Region[Any]) -> Any:
        return self._cl.enqueue_copy(self._queue, target, region.block, src_offset=region.offset, is_blocking=False)


def _microseconds(event: Any) -> float:
    nanoseconds: int = event.profile.end - event.profile.start
    return nanoseconds / 1000


def send(cl: Any, queue: Any, region: Region[Any], array: Array) -> Any:
    """Begin to copy a dense array to the device, as an event; the array must live until the queue has finished."""
    return cl.enqueue_copy(queue, region.block, dense_bytes(array), dst_offset=region.offset, is_blocking=False)


def part(region: Region[Any]) -> Any:
    """The buffer object of a region alone."""
    return region.block.get_sub_region(region.offset, max(region.nbytes, 1))


OPENCL = Interface(found_devices, lambda found, meta: open_device(found).lacks(meta), OpenClSubgraph)
