"""From compiled groups to a subgraph's plan: where every buffer lies, and each launch with its arguments by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optima.backends.gpu_route.meta import CallMeta, GpuKernel
from optima.backends.kernel_route.memory import Lifetime
from optima.backends.kernel_route.meta import BufferMeta
from optima.backends.kernel_route.storage import Storage, assign
from optima.graph import Graph, Op

#: (a kernel's name, its part of the interface) -> its meta
MakeKernel = Callable[[str, Mapping[str, Any]], GpuKernel]


@dataclass(frozen=True)
class Group:
    """A fused group with its job's result: its launches' ``interface`` (``job.printed``), and their files by name."""

    name: str
    ops: tuple[Op, ...]
    interface: Mapping[str, Any]
    files: Mapping[str, bytes]


def placed(
    graph: Graph, groups: Sequence[Group], aliases: Sequence[Op], keys: dict[str, str], alignment: int
) -> tuple[Storage, tuple[BufferMeta, ...]]:
    """The storage of a subgraph, and its buffers: those of the graph's tensors, then the kernels' temporaries.

    ``alignment``: what every offset is a multiple of, in bytes.
    """
    temporaries = {
        _temporary(step, k): (step, nbytes)
        for step, group in enumerate(groups)
        for k, nbytes in enumerate(group.interface["temporaries"])
    }
    lifetimes = [Lifetime(name, nbytes, step, step) for name, (step, nbytes) in temporaries.items()]
    calls = [group.ops for group in groups]
    storage = assign(graph, calls, aliases, keys, temporaries=lifetimes, alignment=alignment)
    scratch = tuple(
        BufferMeta(name=name, shape=(nbytes,), dtype="uint8", kind="scratch", offset=storage.offsets[name])
        for name, (_, nbytes) in temporaries.items()
    )
    return storage, (*storage.buffers, *scratch)


def _temporary(step: int, number: int) -> str:
    return f"temporary.{step}.{number}"


def link_group(
    graph: Graph, step: int, group: Group, reads: Mapping[str, str], make_kernel: MakeKernel
) -> tuple[list[GpuKernel], list[CallMeta]]:
    """The kernels of a group, and its launches over buffers of the subgraph. ``reads``: see ``Storage``."""
    part = graph.extract("step", group.ops)
    parameters = [*(reads.get(n, n) for n in part.inputs), *(t.name for t in part.params), *part.outputs]
    parameters += [_temporary(step, k) for k in range(len(group.interface["temporaries"]))]
    launches = group.interface["launches"]
    kernels, calls = [], []
    for number, launch in enumerate(launches):
        name = f"{group.name}_{number}"
        kernels.append(make_kernel(name, launch))
        calls.append(
            CallMeta(
                kernel=name,
                args=tuple(parameters[place] for place, _, _ in launch["arguments"]),
                ops=tuple(op.name for op in group.ops),
                results=tuple(part.outputs) if number == len(launches) - 1 else (),
            )
        )
    return kernels, calls
