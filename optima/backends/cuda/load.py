"""The run half of the CUDA route: opens a subgraph's kernels on a GPU, or on what simulates one, and launches them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.cuda.device import Device, Memory
from optima.backends.cuda.driver import CudaMissing, driver
from optima.backends.cuda.gpu import open_gpu
from optima.backends.cuda.meta import FORMAT_VERSION, CudaSubgraph
from optima.backends.cuda.simulator import Simulator
from optima.backends.gpu_route.borders import check_borders, copy_outputs, device_inputs, device_outputs
from optima.backends.gpu_route.checking import read_meta
from optima.backends.gpu_route.errors import DeviceFailed
from optima.backends.gpu_route.meta import CallMeta
from optima.backends.llvm.buffers import Array, alias_roots
from optima.native import aligned_empty

_LOG = logging.getLogger(__name__)


def present(device: DeviceRef) -> bool:
    """Whether NVIDIA's driver is here and has a GPU of that index."""
    try:
        return device.index < driver().count()
    except CudaMissing:
        return False
    except DeviceFailed as error:
        _LOG.warning("%s is taken for absent: %s", device, error)
        return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> CudaExecutable:
    """Open a subgraph's kernels on its GPU, or on the simulator where that is absent.

    Raises BadSubgraph when ``<subgraph>.meta`` contradicts itself or the files, DeviceLacks when the GPU is older than
    the architecture that was compiled for, ToolMissing and ToolFailed where the simulator cannot be built.
    """
    meta = read_meta(CudaSubgraph, view, FORMAT_VERSION)
    opened: Device = open_gpu(device.index) if env.present else Simulator()
    executable = CudaExecutable(opened, meta, view)
    if opened.runs_on:
        env.log.warning("%s: %s is simulated: %s", view.name, device, opened.runs_on)
    else:
        env.log.info("%s: %d kernels on %s (%s)", view.name, len(meta.kernels), opened.name, device)
    return executable


class CudaExecutable:
    """A loaded subgraph: its kernels, and constants in device memory, shared by all requests."""

    def __init__(self, device: Device, meta: CudaSubgraph, view: SubgraphView) -> None:
        self.device, self.meta, self.constants, self.runs_on = device, meta, view.constants, device.runs_on
        self.functions = device.functions(meta, view.files)
        self.blocks = {b.name: device.allocate(b.nbytes) for b in meta.buffers if b.kind == "constant"}
        stream = device.stream()
        for name, block in self.blocks.items():
            stream.upload(block.address, self.constants[name])
        stream.wait()

    def bind(self, borders: Mapping[str, Array]) -> CudaInvocation:
        """Private device memory of one request.

        ``borders`` maps every input and output to a dense array. Raises UserError naming those that are missing or
        have another shape or dtype, DeviceFailed where the device's memory does not suffice.
        """
        check_borders(self.meta, borders)
        return CudaInvocation(self, borders)


class CudaInvocation:
    """One request's device memory and stream over one subgraph."""

    def __init__(self, executable: CudaExecutable, borders: Mapping[str, Array]) -> None:
        self._executable, self._meta, self._borders = executable, executable.meta, borders
        self._kernels = {k.name: k for k in self._meta.kernels}
        self._blocks = self._own_blocks()
        self._addresses = self._places()
        self._stream = executable.device.stream()

    def _own_blocks(self) -> dict[str, Memory]:
        """A block for each border; the arena is called ""."""
        allocate = self._executable.device.allocate
        own = {b.name: allocate(b.nbytes) for b in self._meta.buffers if b.kind == "border"}
        return own | ({"": allocate(self._meta.arena_bytes)} if self._meta.arena_bytes else {})

    def _places(self) -> dict[str, int]:
        """Where each buffer begins; empty ones, which no kernel touches, may have no place."""
        blocks = {**self._executable.blocks, **self._blocks}
        places = {name: block.address for name, block in blocks.items() if name}
        if "" in blocks:
            places |= {b.name: blocks[""].address + b.offset for b in self._meta.buffers if b.kind == "scratch"}
        roots = alias_roots(self._meta)
        aliases = {b.name: places.get(roots[b.name], 0) for b in self._meta.buffers if b.kind == "alias"}
        return places | aliases

    def run(self) -> None:
        """Copy the inputs in, launch every kernel, copy the outputs out. Raises DeviceFailed."""
        self._upload()
        for call in self._meta.calls:
            self._launch(call)
        self._download()

    def timings(self) -> Sequence[tuple[str, float]]:
        """None: the host does not wait between kernels."""
        return ()

    def trace(self) -> dict[str, Array]:
        """Run launch by launch; copies of all that each group of launches leaves behind, by graph name."""
        seen = {name: self._borders[name].copy() for name in self._meta.inputs}
        self._upload()
        for call in self._meta.calls:
            self._launch(call)
            for name in call.results:
                seen.update(self._with_aliases(name))
        self._download()
        seen.update({name: self._borders[name].copy() for name in self._meta.outputs})
        return seen

    def _upload(self) -> None:
        for name in device_inputs(self._meta):
            self._stream.upload(self._addresses[name], self._borders[name])

    def _launch(self, call: CallMeta) -> None:
        function, kernel = self._executable.functions[call.kernel], self._kernels[call.kernel]
        self._stream.launch(function, kernel, [self._addresses[name] for name in call.args])

    def _download(self) -> None:
        for name in device_outputs(self._meta):
            self._stream.download(self._borders[name], self._addresses[name])
        self._stream.wait()
        copy_outputs(self._meta, self._borders, self._executable.constants)

    def _with_aliases(self, name: str) -> dict[str, Array]:
        found = {}
        for buffer in self._meta.buffers:
            if name in (buffer.name, buffer.alias_of):
                found[buffer.name] = aligned_empty(buffer.shape, buffer.dtype)
                self._stream.download(found[buffer.name], self._addresses[buffer.name])
        self._stream.wait()
        return found
