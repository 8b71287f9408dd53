"""Moves that several GPU rules share: what follows an anchor in its launch, and filling shared memory together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from optima.kernels.schedule.structure import at_own_element, is_output, is_spatial, name_of


def plain_fold(sch: Any, block: Any) -> bool:
    """Whether a fold is a sum, product, maximum or minimum of one result, which TVM can part among threads.

    One with several results (argmax) keeps its order, and one that keeps NaN has no form that TVM could part.
    """
    body = sch.get(block).body
    if type(body).__name__ != "BufferStore" or type(body.value).__name__ not in ("Add", "Mul", "Max", "Min"):
        return False
    return type(body.value.a).__name__ == "TensorLoad" and bool(body.value.a.source.same_as(body.buffer))


def local_result(sch: Any, anchor: Any, done: Collection[str]) -> Any:
    """Let ``anchor`` accumulate in registers; returns the block that reads them, to be moved into its loops.

    The chain of elementwise stages behind it that are not ``done`` is that block, inlined into one; else a copy to
    where it wrote.
    """
    chain = _chain(sch, anchor, done)
    if not chain:
        return sch.cache_write(anchor, 0, "local")
    for block in chain[:-1]:
        sch.compute_inline(block)
    sch.set_scope(anchor, 0, "local")
    return chain[-1]


def _chain(sch: Any, anchor: Any, done: Collection[str]) -> list[Any]:
    """The stages behind ``anchor`` that each read the one before it alone, at their own element."""
    if is_output(sch, anchor):
        return []
    within = {name_of(sch, anchor)}
    chain: list[Any] = []
    current = anchor
    while not is_output(sch, current):
        consumers = list(sch.get_consumers(current))
        if len(consumers) != 1 or name_of(sch, consumers[0]) in done or not _follows(sch, consumers[0], current):
            break
        if any(name_of(sch, p) not in within for p in sch.get_producers(consumers[0])):
            break  # it also waits for a stage of another launch: TVM moves no such stage into these loops
        current = consumers[0]
        within.add(name_of(sch, current))
        chain.append(current)
    return chain


def _follows(sch: Any, block: Any, producer: Any) -> bool:
    node = sch.get(block)
    if not is_spatial(sch, block) or type(node.body).__name__ != "BufferStore":
        return False
    axes = [v.var for v in node.iter_vars]
    source = sch.get(producer).writes[0].source
    reads = [r for r in node.reads if r.source.same_as(source)]
    return at_own_element(node.writes[0], axes) and all(at_own_element(r, axes) for r in reads)


def fill_together(sch: Any, block: Any, at: Any, width: int, height: int = 1) -> None:
    """Run a copy to shared memory inside the loop ``at``, by all ``width`` x ``height`` threads of the workgroup."""
    sch.compute_at(block, at, preserve_unit_loops=True)
    variable = sch.get(at).loop_var
    loops = sch.get_loops(block)
    depth = next(i for i, loop in enumerate(loops) if sch.get(loop).loop_var.same_as(variable))
    whole = sch.fuse(*loops[depth + 1 :])
    if height == 1:
        _, x = sch.split(whole, [None, width])
    else:
        _, y, x = sch.split(whole, [None, height, width])
        sch.bind(y, "threadIdx.y")
    sch.bind(x, "threadIdx.x")
