"""A subgraph on a device of CUDA's: its functions and constants, and requests over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from optima.backends.base import SubgraphView
from optima.backends.cuda.device import Device, Memory
from optima.backends.cuda.meta import CudaSubgraph
from optima.backends.gpu_route.borders import device_inputs, device_outputs
from optima.backends.gpu_route.executable import GpuExecutable, dense_bytes
from optima.backends.kernel_route.buffers import Array, alias_roots
from optima.tools import NotUsableHere


def opened(device: Device, meta: CudaSubgraph, view: SubgraphView) -> GpuExecutable:
    """A subgraph on a device. Raises what ``Device`` does."""
    return GpuExecutable(meta, LoadedSubgraph(device, meta, view), view.constants, device.runs_on)


class LoadedSubgraph:
    """Functions, and constants in device memory, shared by all requests."""

    def __init__(self, device: Device, meta: CudaSubgraph, view: SubgraphView) -> None:
        self.device, self.meta = device, meta
        self.functions: Mapping[str, Any] = device.functions(meta, view.files)
        self.blocks = {b.name: device.allocate(b.nbytes) for b in meta.buffers if b.kind == "constant"}
        stream = device.stream(marks=0)
        with stream.inside():
            for name, block in self.blocks.items():
                stream.upload(block.address, view.constants[name])
            stream.wait()

    def request(self, borders: Mapping[str, Array]) -> CudaRequest:
        """See ``Opened``."""
        return CudaRequest(self, borders)


class CudaRequest:
    """One request's device memory and stream."""

    def __init__(self, subgraph: LoadedSubgraph, borders: Mapping[str, Array]) -> None:
        self._subgraph, self._meta, self._borders = subgraph, subgraph.meta, borders
        self._kernels = {k.name: k for k in self._meta.kernels}
        self._buffers = {b.name: b for b in self._meta.buffers}
        self._blocks = self._own_blocks()
        self._addresses = self._places()
        self._stream = subgraph.device.stream(marks=len(self._steps()) + 1)

    def _own_blocks(self) -> dict[str, Memory]:
        """A block for each border; the arena is called ""."""
        allocate = self._subgraph.device.allocate
        own = {b.name: allocate(b.nbytes) for b in self._meta.buffers if b.kind == "border"}
        return own | ({"": allocate(self._meta.arena_bytes)} if self._meta.arena_bytes else {})

    def _places(self) -> dict[str, int]:
        """Where each buffer begins; empty ones, which no kernel touches, may have no place."""
        blocks = {**self._subgraph.blocks, **self._blocks}
        places = {name: block.address for name, block in blocks.items() if name}
        if "" in blocks:
            places |= {b.name: blocks[""].address + b.offset for b in self._meta.buffers if b.kind == "scratch"}
        roots = alias_roots(self._meta)
        aliases = {b.name: places.get(roots[b.name], 0) for b in self._meta.buffers if b.kind == "alias"}
        return places | aliases

    def run(self) -> None:
        """See ``Request``: the host waits once, at the end."""
        with self._done():
            self._stream.mark(0)
            for number, step in enumerate(self._steps(), 1):
                step()
                self._stream.mark(number)

    def send(self) -> None:
        """See ``Request``."""
        with self._done():
            for name in device_inputs(self._meta):
                self._upload(name)

    def launch(self, call: int) -> None:
        """See ``Request``."""
        with self._done():
            self._launch(call)

    def receive(self) -> None:
        """See ``Request``."""
        with self._done():
            for name in device_outputs(self._meta):
                self._download(name)

    def fetch(self, buffer: str) -> Array:
        """See ``Request``."""
        found = np.empty(self._buffers[buffer].nbytes, np.uint8)
        with self._done():
            self._stream.download(found, self._addresses[buffer])
        return found

    def launches_us(self) -> Sequence[float]:
        """See ``Request``."""
        first = len(device_inputs(self._meta))
        return self._spans_us()[first : first + len(self._meta.calls)]

    def copies_us(self) -> Mapping[str, float]:
        """See ``Request``."""
        inputs, spans = device_inputs(self._meta), self._spans_us()
        behind = spans[len(inputs) + len(self._meta.calls) :]
        outputs = zip(device_outputs(self._meta), behind, strict=True)
        return {**dict(zip(inputs, spans, strict=False)), **dict(outputs)}

    @contextmanager
    def _done(self) -> Iterator[None]:
        """What is asked for within is done at the end."""
        with self._stream.inside():
            try:
                yield
            except NotUsableHere:
                with suppress(NotUsableHere):  # copies into the borders may be on their way: they end first
                    self._stream.wait()
                raise
            self._stream.wait()

    def _spans_us(self) -> Sequence[float]:
        with self._stream.inside():
            return self._stream.spans_us()

    def _steps(self) -> list[Callable[[], None]]:
        """What a run does in order: a copy for each input, each launch, a copy for each output."""
        return [
            *(partial(self._upload, name) for name in device_inputs(self._meta)),
            *(partial(self._launch, number) for number in range(len(self._meta.calls))),
            *(partial(self._download, name) for name in device_outputs(self._meta)),
        ]

    def _upload(self, name: str) -> None:
        self._stream.upload(self._addresses[name], self._borders[name])

    def _launch(self, number: int) -> None:
        call = self._meta.calls[number]
        addresses = [self._addresses[name] for name in call.args]
        self._stream.launch(self._subgraph.functions[call.kernel], self._kernels[call.kernel], addresses)

    def _download(self, name: str) -> None:
        self._stream.download(dense_bytes(self._borders[name]), self._addresses[name])
