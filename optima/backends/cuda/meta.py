"""The CUDA part of ``<subgraph>.meta``. Written by ``link``, read by ``load``."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from optima.backends.gpu_route.meta import GpuKernel, GpuSubgraph

FORMAT_VERSION = 1


class KernelMeta(GpuKernel):
    """A kernel: its text, PTX, and, unless ``cubin`` is "", its machine code. It takes a pointer for each argument."""

    source: str
    ptx: str
    cubin: str

    @property
    def files(self) -> tuple[str, ...]:
        """See ``CompiledKernel``."""
        return tuple(file for file in (self.source, self.ptx, self.cubin) if file)


class CudaSubgraph(GpuSubgraph):
    """``architecture``: what the cubins were compiled for, and what a device must at least be for the PTX."""

    kernels: tuple[KernelMeta, ...]
    architecture: str = Field(pattern=r"^sm_\d{2,3}$")
    form: Literal["cubin", "ptx"]

    @property
    def capability(self) -> tuple[int, int]:
        """The architecture's compute capability: (7, 5) of sm_75."""
        number = int(re.sub(r"\D", "", self.architecture))
        return divmod(number, 10)
