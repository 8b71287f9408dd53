"""An open OpenCL device: its context, and what it can do. One per device and process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from devices import Problem
from optima.backends.gpu_route.errors import DeviceFailed
from optima.backends.spirv.found import FoundDevice
from optima.backends.spirv.meta import KernelMeta, SpirvSubgraph
from optima.backends.spirv.opencl.devices_here import api, il_version

#: the SPIR-V that both compilers write
_NEEDED_VERSION = (1, 2)
#: what the full profile always takes (OpenCL SPIR-V Environment Specification, "Required Capabilities")
_FULL = ("Kernel", "Addresses", "Linkage", "Int8", "Int16", "Int64", "Float16Buffer", "Vector16")
#: extension -> the capabilities that it brings
_EXTENSIONS = {"cl_khr_fp16": ("Float16",), "cl_khr_fp64": ("Float64",), "cles_khr_int64": ("Int64",)}
#: Mesa's CPU driver ends every loop of an invocation for good after so many rounds in all, without a word
_LLVMPIPE_ROUNDS = 65_535
_POINTER_BYTES = 8


class OpenClDevice:
    """One device for the whole process; each request has a queue of its own."""

    def __init__(self, found: FoundDevice) -> None:
        self.cl, self.found, self._process = api(), found, os.getpid()
        self.handle = found.handle
        with failing("open the device", found.name):
            self.context = self.cl.Context([found.handle])

    def same_process(self) -> None:
        """Raise DeviceFailed in a child process: a context does not survive a fork."""
        if self._process != os.getpid():
            raise DeviceFailed("an OpenCL device does not survive a fork", hint="load the model in the child process")

    def lacks(self, meta: SpirvSubgraph) -> list[Problem]:
        """What the device does not have of what a subgraph's kernels need."""
        device = self.handle
        problems = [*self._lacks_altogether(meta)]
        for kernel in meta.kernels:
            problems += [Problem(kernel.name, reason) for reason in self._lacks(kernel)]
        largest = int(device.max_mem_alloc_size)
        sizes = {**{b.name: b.nbytes for b in meta.buffers}, "the arena": meta.arena_bytes}
        problems += [
            Problem(name, f"has {nbytes:,} bytes, and a buffer may have {largest:,}")
            for name, nbytes in sizes.items()
            if nbytes > largest
        ]
        return problems

    def _lacks_altogether(self, meta: SpirvSubgraph) -> Iterator[Problem]:
        versions = [(int(a), int(b)) for a, b in re.findall(r"SPIR-V_(\d+)\.(\d+)", il_version(self.handle))]
        if max(versions, default=(0, 0)) < _NEEDED_VERSION:
            yield Problem(meta.name, f"needs SPIR-V {'.'.join(map(str, _NEEDED_VERSION))}")
        if int(self.handle.address_bits) != 8 * _POINTER_BYTES:
            yield Problem(meta.name, "needs addresses of 64 bits")
        alignment = int(self.handle.mem_base_addr_align) // 8
        if meta.alignment % alignment:
            yield Problem(meta.name, f"has buffers at multiples of {meta.alignment} bytes, not of {alignment}")

    def _lacks(self, kernel: KernelMeta) -> Iterator[str]:
        device = self.handle
        missing = [c for c in kernel.capabilities if c not in self._capabilities()]
        if missing:
            yield f"needs {', '.join(missing)}"
        threads = kernel.threads[0] * kernel.threads[1] * kernel.threads[2]
        sizes = zip(kernel.threads, device.max_work_item_sizes, strict=False)
        if threads > int(device.max_work_group_size) or any(n > int(m) for n, m in sizes):
            yield f"needs workgroups of {list(kernel.threads)} invocations"
        if kernel.shared_bytes > int(device.local_mem_size):
            yield f"needs {kernel.shared_bytes} bytes of shared memory"
        if len(kernel.arguments) * _POINTER_BYTES > int(device.max_parameter_size):
            yield f"needs {len(kernel.arguments)} arguments"
        if self.found.name.startswith("llvmpipe") and kernel.rounds > _LLVMPIPE_ROUNDS:
            yield f"needs {kernel.rounds:,} rounds of its loops in one thread"

    def _capabilities(self) -> set[str]:
        base = _FULL if "FULL" in str(self.handle.profile) else tuple(c for c in _FULL if c != "Int64")
        words = str(self.handle.extensions).split()
        return {*base, *(c for name, brought in _EXTENSIONS.items() if name in words for c in brought)}


@contextmanager
def failing(what: str, name: str) -> Iterator[None]:
    """Turns OpenCL's errors into DeviceFailed: ``what`` could not be done on the device ``name``."""
    cl = api()
    try:
        yield
    except (cl.Error, MemoryError) as error:
        raise DeviceFailed(
            f"{name} could not {what}: {str(error).strip() or type(error).__name__}",
            hint="use fewer requests at a time, or another device",
        ) from error


@cache
def open_device(found: FoundDevice) -> OpenClDevice:
    """The process's device for a found one."""
    return OpenClDevice(found)


os.register_at_fork(after_in_child=open_device.cache_clear)
