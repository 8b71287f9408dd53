"""What the executor asks of a device: NVIDIA's driver (``driver.py``) or this CPU (``simulator.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from optima.backends.cuda.meta import CudaSubgraph, KernelMeta
from optima.backends.kernel_route.buffers import Array


class Memory(Protocol):
    """A block of the device's memory, freed with the object; it begins at a multiple of 256."""

    @property
    def address(self) -> int:
        """Where it begins."""


class Stream(Protocol):
    """What is done on the device in order. One thread at a time uses a stream."""

    def inside(self) -> AbstractContextManager[None]:
        """Everything that is asked of the stream is asked within this, by the thread that entered."""

    def upload(self, address: int, array: Array) -> None:
        """Copy a dense array to the device; it must not change before ``wait``."""

    def launch(self, function: Any, kernel: KernelMeta, addresses: Sequence[int]) -> None:
        """Run a kernel with a pointer for each argument."""

    def download(self, array: Array, address: int) -> None:
        """Copy from the device into a dense array; it is complete after ``wait``."""

    def mark(self, number: int) -> None:
        """Remember when all that was asked for until now is done."""

    def wait(self) -> None:
        """Return when all that was asked for is done. Raises DeviceFailed."""

    def spans_us(self) -> Sequence[float]:
        """Microseconds from each mark to the next, once all were set and waited for."""


class Device(Protocol):
    """One device of this process. ``runs_on``: what computes in its place, "" for a GPU."""

    name: str
    runs_on: str

    def functions(self, meta: CudaSubgraph, files: Mapping[str, bytes]) -> Mapping[str, Any]:
        """What ``Stream.launch`` takes, by kernel name. Raises DeviceLacks, DeviceFailed, ToolFailed."""

    def allocate(self, nbytes: int) -> Memory:
        """A block of at least ``nbytes``. Raises DeviceFailed."""

    def stream(self, marks: int) -> Stream:
        """A new stream with that many marks."""
