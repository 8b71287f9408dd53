"""The schedule for everything without a rule of its own: a thread per element, or a workgroup per long fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.kernels.gpu.schedule.threads import local_result, plain_fold
from optima.kernels.schedule.inline import inline_cheap
from optima.kernels.schedule.structure import (
    NotApplicable,
    extent,
    is_reduction,
    is_spatial,
    name_of,
    split_axes,
    stages,
    work_of,
)

if TYPE_CHECKING:
    from optima.kernels.gpu.target import GpuTarget

#: elements from which on a device is busy with a thread for each; fewer are folded by several threads each
_BUSY = 4096
#: a fold shorter than this is one thread's
_SHORT = 64


def inline(done: set[str], sch: Any) -> set[str]:
    """Inline what is cheap to compute again, but nothing from or into the stages that are ``done``."""
    written_out = {name_of(sch, b) for b in stages(sch) if not _is_loop_nest(sch, b)}
    inline_cheap(sch, done | written_out)
    return set()


def apply(name: str, target: GpuTarget, done: set[str], sch: Any) -> set[str]:
    """Make the stage ``name`` a launch of its own. One that is no loop nest becomes a launch of one thread."""
    block = sch.get_sblock(name)
    if not _is_loop_nest(sch, block):
        raise NotApplicable(f"{name} is no loop nest")
    spatial, reduction = split_axes(sch, block)
    if not spatial:
        spatial = [sch.add_unit_loop(sch.get_loops(block)[0] if reduction else block)]
    sch.reorder(*spatial, *reduction)
    elements = sch.fuse(*spatial) if len(spatial) > 1 else spatial[0]
    if reduction and _folds_in_parallel(sch, block, elements):
        fold_by_threads(sch, elements, reduction, target)
        return {name}
    if not reduction:
        bind_elements(sch, elements, target)
        return {name}
    names = {name}
    final = None
    if len(sch.get(block).writes) == 1:
        final = local_result(sch, block, done)
    else:
        _keep_private(sch, block)
    thread = bind_elements(sch, elements, target)
    if final is not None:
        names.add(name_of(sch, final))
        sch.reverse_compute_at(final, thread, preserve_unit_loops=True)
    sch.decompose_reduction(block, reduction[0])
    return names


def _is_loop_nest(sch: Any, block: Any) -> bool:
    """Whether TVM can move the loops of a block: it has some, or is one element, and writes nothing that it reads."""
    node = sch.get(block)
    written = [w.source for w in node.writes]
    reads_itself = any(r.source.same_as(w) for r in node.reads for w in written)
    if type(node.body).__name__ not in ("BufferStore", "SeqStmt") or not (
        is_spatial(sch, block) or is_reduction(sch, block)
    ):
        return False
    return not reads_itself or is_reduction(sch, block)


def _keep_private(sch: Any, block: Any) -> None:
    """Of several results those that nothing else reads (the largest value of an argmax) stay with their thread."""
    outputs = [w.source for b in sch.get_output_blocks(sch.get_sblock("root")) for w in sch.get(b).writes]
    arguments = list(next(iter(sch.mod.functions.values())).params)
    read = [r.source for b in sch.get_consumers(block) for r in sch.get(b).reads]
    for number, write in enumerate(sch.get(block).writes):
        elsewhere = any(write.source.same_as(other) for other in (*read, *arguments))
        if not elsewhere and any(write.source.same_as(other) for other in outputs):
            sch.set_scope(block, number, "local")


def bind_elements(sch: Any, elements: Any, target: GpuTarget) -> Any:
    """A thread for each iteration of ``elements``: (workgroup, thread) loops; returns the thread's."""
    width = min(target.threads, 1 << (max(1, extent(sch, elements)) - 1).bit_length())
    group, thread = sch.split(elements, [None, width])
    sch.bind(group, "blockIdx.x")
    sch.bind(thread, "threadIdx.x")
    return thread


def _folds_in_parallel(sch: Any, block: Any, elements: Any) -> bool:
    """Whether several threads share each fold: it is long, and there are too few for a thread each."""
    count = extent(sch, elements)
    length = work_of(sch, block) // max(1, count)
    return count < _BUSY and length >= _SHORT and plain_fold(sch, block)


def fold_by_threads(sch: Any, elements: Any, reduction: list[Any], target: GpuTarget) -> None:
    """A workgroup per element: its threads fold strided parts, whose results they then fold together."""
    folded = sch.fuse(*reduction) if len(reduction) > 1 else reduction[0]
    width = min(target.threads, 1 << (extent(sch, folded).bit_length() - 1))
    _, thread = sch.split(folded, [None, width])
    sch.bind(elements, "blockIdx.x")
    sch.bind(thread, "threadIdx.x")
