"""What the ``<subgraph>.meta`` of all kernel backends holds."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from optima.graph import TensorType, numpy_dtype
from optima.native import ALIGNMENT

Dtype = Literal[
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
]  # fmt: skip


class StrictMeta(BaseModel):
    """A part of a meta: nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BufferMeta(StrictMeta):
    """One tensor as kernels see it: stored shape and dtype (a blocked form has more dimensions).

    ``kind``: "border" buffers are bound by the caller, "constant" ones come from the weights (``key``), "scratch"
    ones lie at ``offset`` in the arena. ``alias_of`` names a buffer of the same bytes (a reshape).
    """

    name: str
    shape: tuple[int, ...]
    dtype: Dtype
    kind: Literal["border", "constant", "scratch", "alias"]
    offset: int = 0
    key: str = ""
    alias_of: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the stored form."""
        return TensorType(self.shape, self.dtype).nbytes

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """How numpy stores it; bfloat16 as uint16 bits."""
        return numpy_dtype(self.dtype)


class ConstantMeta(StrictMeta):
    """Where a constant comes from: its entry in ``weights.safetensors`` and the recipe from PyTorch's names."""

    name: str
    key: str
    recipe: Any


class CompiledKernel(StrictMeta):
    """A kernel's name, and the files of the subgraph's folder that hold it."""

    name: str

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Their names."""


class KernelFile(CompiledKernel):
    """A kernel in one file."""

    file: str

    @property
    def files(self) -> tuple[str, ...]:
        """See ``CompiledKernel``."""
        return (self.file,)


class KernelCall(StrictMeta):
    """One call of a kernel: arguments by buffer name, and the ops that it does."""

    kernel: str
    args: tuple[str, ...]
    ops: tuple[str, ...]


class PlannedSubgraph(StrictMeta):
    """Kernels in order, with the memory plan. An empty ``calls`` is a subgraph in which no kernel remained."""

    format_version: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    #: (output, source): outputs that are copies of a border input or a constant
    copies: tuple[tuple[str, str], ...] = ()
    buffers: tuple[BufferMeta, ...]
    constants: tuple[ConstantMeta, ...]
    kernels: tuple[CompiledKernel, ...]
    calls: tuple[KernelCall, ...]
    arena_bytes: int = Field(ge=0)

    @property
    def alignment(self) -> int:
        """What the offset of every scratch buffer is a multiple of, in bytes."""
        return ALIGNMENT
