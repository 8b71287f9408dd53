"""The part of ``<subgraph>.meta`` that all GPU backends have: buffers, kernels, launches."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from optima.backends.llvm.meta import BufferMeta, ConstantMeta

#: every buffer starts at a multiple of this: the most that Vulkan lets a device ask for, and what CUDA allocates at
ALIGNMENT = 256

Sizes = tuple[int, int, int]


class StrictMeta(BaseModel):
    """A part of a meta: nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArgumentMeta(StrictMeta):
    """One buffer that a kernel takes: its stored dtype (a bool is a uint8), and whether the kernel writes it."""

    dtype: str
    access: Literal["read", "write"]


class GpuKernel(StrictMeta):
    """A kernel and how to launch it: ``groups`` workgroups of ``threads`` invocations, each of three axes.

    ``arguments`` are in the order of a call's.
    """

    name: str
    entry_point: str
    threads: Sizes
    groups: Sizes
    arguments: tuple[ArgumentMeta, ...]
    shared_bytes: int = Field(ge=0)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it needs, in the subgraph's folder."""
        raise NotImplementedError


class CallMeta(StrictMeta):
    """One launch: arguments by buffer name, and the ops that it is part of.

    ``results``: the graph's tensors that are complete after it.
    """

    kernel: str
    args: tuple[str, ...]
    ops: tuple[str, ...]
    results: tuple[str, ...] = ()


Kernel = TypeVar("Kernel", bound=GpuKernel)


class GpuSubgraph(StrictMeta, Generic[Kernel]):
    """Kernels in order, with the memory plan. An empty ``calls`` is a subgraph in which no kernel remained."""

    format_version: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    #: (output, source): outputs that are copies of a border input or a constant
    copies: tuple[tuple[str, str], ...] = ()
    buffers: tuple[BufferMeta, ...]
    constants: tuple[ConstantMeta, ...]
    kernels: tuple[Kernel, ...]
    calls: tuple[CallMeta, ...]
    arena_bytes: int = Field(ge=0)
