"""A subgraph on a GPU and its requests, whichever interface drives it: an ``Opened`` of Vulkan, OpenCL or CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from optima.backends.gpu_route.borders import copy_outputs, device_inputs, device_outputs
from optima.backends.gpu_route.meta import GpuSubgraph
from optima.backends.kernel_route.buffers import Array, check_borders

#: what the profile calls the copies of borders
TO_DEVICE, FROM_DEVICE = "inputs to the device", "outputs from the device"


class Request(Protocol):
    """One request on a device: border and scratch memory of its own, bound to the launches of a subgraph.

    Methods raise DeviceFailed.
    """

    def run(self) -> None:
        """Inputs to the device, every launch, outputs back."""

    def send(self) -> None:
        """Inputs to the device."""

    def launch(self, call: int) -> None:
        """The launch of that number alone; done when this returns."""

    def receive(self) -> None:
        """Outputs back from the device."""

    def fetch(self, buffer: str) -> Array:
        """A copy of a buffer's bytes."""

    def launches_us(self) -> Sequence[float]:
        """Microseconds of each launch of the last ``run``, by the device's own clock; () where it has none."""

    def copies_us(self) -> Mapping[str, float]:
        """Microseconds that the last ``run`` took to copy each border to or from the device; {} without a clock."""


class Opened(Protocol):
    """A subgraph's kernels and constants on a device, shared by all requests."""

    def request(self, borders: Mapping[str, Array]) -> Request:
        """Memory for a request over these border arrays, which it reads and writes. Raises DeviceFailed."""


class GpuExecutable:
    """A loaded subgraph, shared by all requests. ``runs_on``: the simulator that stands in, "" for the device."""

    def __init__(self, meta: GpuSubgraph, opened: Opened, constants: Mapping[str, Array], runs_on: str) -> None:
        self.meta, self.opened, self.constants, self.runs_on = meta, opened, constants, runs_on

    def bind(self, borders: Mapping[str, Array]) -> GpuInvocation:
        """One request's buffers, and all that it does, prepared once.

        ``borders`` maps every input and output to a dense array. Raises UserError naming those that are missing or
        have another shape or dtype, DeviceFailed where the device's memory does not suffice.
        """
        check_borders(self.meta, borders)
        return GpuInvocation(self, borders)


class GpuInvocation:
    """One request over one subgraph."""

    def __init__(self, executable: GpuExecutable, borders: Mapping[str, Array]) -> None:
        self._meta, self._constants, self._borders = executable.meta, executable.constants, borders
        self._request = executable.opened.request(borders)

    def run(self) -> None:
        """Copy the inputs in, launch every kernel, copy the outputs out. Raises DeviceFailed."""
        self._request.run()
        copy_outputs(self._meta, self._borders, self._constants)

    def timings(self) -> Sequence[tuple[str, float]]:
        """(step, microseconds) of the last run: the copies to the device, each launch, the copies back."""
        copies, launches = self._request.copies_us(), self._request.launches_us()
        if not copies and not launches:
            return ()
        sent, received = (sum(copies[n] for n in names(self._meta)) for names in (device_inputs, device_outputs))
        kernels = [(call.kernel, us) for call, us in zip(self._meta.calls, launches, strict=True)]
        return (TO_DEVICE, sent), *kernels, (FROM_DEVICE, received)

    def copies_us(self) -> Mapping[str, float]:
        """See ``Copying``."""
        return self._request.copies_us()

    def trace(self) -> dict[str, Array]:
        """Run launch by launch; copies of all that each group of launches leaves behind, by graph name."""
        seen = {name: self._borders[name].copy() for name in self._meta.inputs}
        self._request.send()
        for number, call in enumerate(self._meta.calls):
            self._request.launch(number)
            for name in call.results:
                seen.update(self._with_aliases(name))
        self._request.receive()
        copy_outputs(self._meta, self._borders, self._constants)
        seen.update({name: self._borders[name].copy() for name in self._meta.outputs})
        return seen

    def _with_aliases(self, name: str) -> dict[str, Array]:
        buffers = [b for b in self._meta.buffers if b.name == name or b.alias_of == name]
        return {b.name: self._request.fetch(b.name).view(b.numpy_dtype).reshape(b.shape) for b in buffers}


def dense_bytes(array: Array) -> Array:
    """The bytes of a dense array, as one row over the same memory."""
    return array.reshape(-1).view(np.uint8)
