"""An NVIDIA GPU as the executor's device: modules, memory and streams in the process's primary context."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from itertools import pairwise

from optima.backends.cuda.driver import Driver, driver, pointers
from optima.backends.cuda.meta import CudaSubgraph, KernelMeta
from optima.backends.gpu_route.errors import DeviceFailed, DeviceLacks
from optima.backends.kernel_route.buffers import Array

#: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_MAJOR, _MINOR = 75, 76
#: Jetson and Drive: "Binary compatibility is supported only for the desktop. It is not supported for Tegra" (CUDA C++
#: programming guide), neither among these nor between one of these and a GPU of a card
_TEGRA = frozenset(((5, 3), (6, 2), (7, 2), (8, 7), (8, 8), (10, 1), (11, 0)))
#: CU_STREAM_NON_BLOCKING: does not wait for the process's other uses of the GPU
_NON_BLOCKING = 1


class Gpu:
    """One GPU. The primary context is kept for the process's life, as NVIDIA's own libraries do."""

    runs_on = ""

    def __init__(self, opened: Driver, index: int) -> None:
        self.driver = opened
        device = opened.device(index)
        self.name = opened.device_name(device)
        self.capability = opened.attribute(_MAJOR, device), opened.attribute(_MINOR, device)
        self._context = opened.handle("open a context", "cuDevicePrimaryCtxRetain", device)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """In the GPU's context: every call of the driver works in the calling thread's.

        The thread then has its own again: another library's, or another GPU's, whose calls the garbage collector
        interrupted to release something of this one.
        """
        self.driver.call("enter its context", "cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self.driver.leave()

    def functions(self, meta: CudaSubgraph, files: Mapping[str, bytes]) -> Mapping[str, _Function]:
        """See ``Device``: from the cubin where it is for this GPU, else the driver compiles the PTX."""
        wanted = meta.capability
        if self.capability < wanted:
            major, minor = self.capability
            raise DeviceLacks(
                f"{self.name} is sm_{major}{minor}, and {meta.name} was compiled for {meta.architecture}",
                hint=f'compile with device_options={{"NVIDIA": {{"architecture": "sm_{major}{minor}"}}}}',
            )
        if meta.form == "cubin" and _runs_code_for(wanted, self.capability):
            with suppress(DeviceLacks):  # a driver that is older than the compiler may still take the PTX
                return self._loaded([(kernel, files[kernel.cubin]) for kernel in meta.kernels])
        return self._loaded([(kernel, files[kernel.ptx]) for kernel in meta.kernels])

    def _loaded(self, images: Sequence[tuple[KernelMeta, bytes]]) -> Mapping[str, _Function]:
        with self.inside():
            return {kernel.name: _Function(self, kernel, image) for kernel, image in images}

    def allocate(self, nbytes: int) -> _Block:
        """See ``Device``."""
        with self.inside():
            return _Block(self, max(nbytes, 1))

    def stream(self, marks: int) -> GpuStream:
        """See ``Device``."""
        with self.inside():
            return GpuStream(self, marks)

    def release(self, owner: object, name: str, handle: int) -> None:
        """Call the driver's ``name`` once ``owner`` is gone; at the process's end the driver does so itself."""
        weakref.finalize(owner, _released, self, name, handle).atexit = False


def _released(gpu: Gpu, name: str, handle: int) -> None:
    # A lost GPU has released everything; nobody could catch an error of the garbage collector.
    if gpu.driver.here:
        with suppress(DeviceFailed, DeviceLacks), gpu.inside():
            gpu.driver.call("release what it held", name, handle)


def _runs_code_for(wanted: tuple[int, int], capability: tuple[int, int]) -> bool:
    """Whether a GPU runs a cubin: of its own major version, from its minor version on, and of no other for Tegra."""
    return wanted == capability or (wanted[0] == capability[0] and not {wanted, capability} & _TEGRA)


class _Function:
    """A kernel in a module of its own."""

    def __init__(self, gpu: Gpu, kernel: KernelMeta, image: bytes) -> None:
        what = f"take the kernel {kernel.name}"
        module = gpu.driver.handle(what, "cuModuleLoadData", image + b"\0")  # PTX is a C string
        gpu.release(self, "cuModuleUnload", module)
        self.handle = gpu.driver.handle(what, "cuModuleGetFunction", module, kernel.entry_point.encode())


class _Block:
    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        address = ctypes.c_uint64()
        gpu.driver.call(f"allocate {nbytes:,} bytes", "cuMemAlloc_v2", ctypes.byref(address), nbytes)
        self.address = address.value
        gpu.release(self, "cuMemFree_v2", self.address)


class GpuStream:
    """See ``Stream``."""

    def __init__(self, gpu: Gpu, marks: int) -> None:
        self._gpu = gpu
        self._handle = gpu.driver.handle("make a stream", "cuStreamCreate", _NON_BLOCKING)
        gpu.release(self, "cuStreamDestroy_v2", self._handle)
        self._marks = [self._mark() for _ in range(marks)]

    def _mark(self) -> int:
        event = self._gpu.driver.handle("make a clock", "cuEventCreate", 0)
        self._gpu.release(self, "cuEventDestroy_v2", event)
        return event

    def inside(self) -> AbstractContextManager[None]:
        """See ``Stream``: once for all steps of a run."""
        return self._gpu.inside()

    def upload(self, address: int, array: Array) -> None:
        """See ``Stream``."""
        if array.nbytes:
            self._ask("copy an input", "cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self._handle)

    def launch(self, function: _Function, kernel: KernelMeta, addresses: Sequence[int]) -> None:
        """See ``Stream``."""
        arguments, kept = pointers(addresses)
        sizes = (*kernel.groups, *kernel.threads, 0)
        self._ask(f"launch {kernel.name}", "cuLaunchKernel", function.handle, *sizes, self._handle, arguments, None)
        del kept  # the driver has copied the arguments by now

    def download(self, array: Array, address: int) -> None:
        """See ``Stream``."""
        if array.nbytes:
            self._ask("copy an output", "cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self._handle)

    def mark(self, number: int) -> None:
        """See ``Stream``."""
        self._ask("set a mark", "cuEventRecord", self._marks[number], self._handle)

    def wait(self) -> None:
        """See ``Stream``."""
        self._ask("finish", "cuStreamSynchronize", self._handle)

    def spans_us(self) -> list[float]:
        """See ``Stream``."""
        return [self._gpu.driver.microseconds(start, end) for start, end in pairwise(self._marks)]

    def _ask(self, what: str, name: str, *arguments: object) -> None:
        self._gpu.driver.call(what, name, *arguments)


@cache
def open_gpu(index: int) -> Gpu:
    """The process's n-th GPU. Raises CudaMissing, DeviceFailed."""
    return Gpu(driver(), index)


os.register_at_fork(after_in_child=open_gpu.cache_clear)
