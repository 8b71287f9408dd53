"""Where no GPU is: the kernels' CUDA C++, which the artifact holds, compiled for this CPU.

It shows that the text computes what it should. What NVIDIA's compilers make of the text, it does not show; neither is
it fast. The threads of a block run one after the other between two barriers.
"""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

from optima.backends.cuda.meta import CudaSubgraph, KernelMeta
from optima.backends.cuda.tools import host_compiler
from optima.backends.gpu_route.errors import DeviceFailed
from optima.backends.kernel_route.buffers import Array
from optima.native import aligned_empty
from optima.tools import ToolMissing, run_tool

HEADER = Path(__file__).with_name("simulator.h")
_TIMEOUT_S = 600
#: as NVIDIA's compilers: integers wrap in the hardware, products and sums are fused only where the text says fma
_FLAGS = (
    "-x", "c++", "-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing",
)  # fmt: skip
_BARRIER = "__syncthreads("


class Simulator:
    """This CPU as the executor's device. ``reversed_threads``: the last thread of a block first."""

    def __init__(self, *, reversed_threads: bool = False) -> None:
        compiler = host_compiler()
        if not compiler.path:
            raise ToolMissing("there is no C++ compiler here to simulate CUDA with", hint=compiler.install)
        self._compiler, self._reversed = compiler.path, reversed_threads
        self.name = "this CPU"
        self.runs_on = f"this CPU, the kernels' CUDA C++ compiled by {Path(compiler.path).name} {compiler.version}"

    def functions(self, meta: CudaSubgraph, files: Mapping[str, bytes]) -> Mapping[str, Any]:
        """See ``Device``: one library for all kernels of the subgraph. Raises ToolFailed."""
        if not meta.kernels:
            return {}
        parts = [HEADER.read_text()]
        for kernel in meta.kernels:
            text = files[kernel.source].decode()
            barriers = "true" if _BARRIER in text else "false"
            parts.append(f"{text}OPTIMA_LAUNCH({kernel.entry_point}, {barriers})\n")
        library = self._library("".join(parts))
        return {k.name: getattr(library, f"launch_{k.entry_point}") for k in meta.kernels}

    def _library(self, text: str) -> ctypes.CDLL:
        with tempfile.TemporaryDirectory(prefix="optima-") as folder:
            source, made = Path(folder) / "kernels.cc", Path(folder) / "kernels.so"
            source.write_text(text)
            run_tool([self._compiler, *_FLAGS, "-o", made, source, "-lm"], timeout_s=_TIMEOUT_S, wrote=made)
            return ctypes.CDLL(str(made))

    def allocate(self, nbytes: int) -> HostBlock:
        """See ``Device``."""
        return HostBlock(nbytes)

    def stream(self, marks: int) -> HostStream:
        """See ``Device``."""
        return HostStream(self._reversed, marks)


class HostBlock:
    """Host memory in the place of a GPU's: NaN in every float, so that what no kernel writes shows."""

    def __init__(self, nbytes: int) -> None:
        self._array = aligned_empty((nbytes + 256,), "uint8")
        self._array.fill(0xFF)
        self.address = -(-self._array.ctypes.data // 256) * 256


class HostStream:
    """Does at once what it is asked for."""

    def __init__(self, reversed_threads: bool, marks: int = 0) -> None:
        self._reversed, self._marks_ns = int(reversed_threads), [0] * marks

    def inside(self) -> AbstractContextManager[None]:
        """See ``Stream``."""
        return nullcontext()

    def upload(self, address: int, array: Array) -> None:
        """See ``Stream``."""
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def launch(self, function: Any, kernel: KernelMeta, addresses: Sequence[int]) -> None:
        """See ``Stream``. Raises DeviceFailed for a kernel whose threads do not all come to a barrier."""
        sizes = [(ctypes.c_uint * 3)(*s) for s in (kernel.groups, kernel.threads)]
        arguments = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
        if function(*sizes, arguments, self._reversed):
            raise DeviceFailed(f"the threads of {kernel.name} part at a barrier", hint="report it, with the model")

    def download(self, array: Array, address: int) -> None:
        """See ``Stream``."""
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def mark(self, number: int) -> None:
        """See ``Stream``."""
        self._marks_ns[number] = time.perf_counter_ns()

    def wait(self) -> None:
        """See ``Stream``: nothing is pending."""

    def spans_us(self) -> list[float]:
        """See ``Stream``."""
        return [(end - start) / 1000 for start, end in pairwise(self._marks_ns)]
