"""What rules ask about the blocks of a function, and the moves that several of them share."""

from __future__ import annotations

from typing import Any

#: below this many scalar operations a kernel runs on the caller's thread: waking the pool costs microseconds
PARALLEL_OPERATIONS = 32_768


class NotApplicable(Exception):
    """A rule does not fit this function. Never leaves ``optima.kernels.schedule``."""


def stages(sch: Any) -> list[Any]:
    """The blocks of the function in program order, root left out."""
    root = sch.get_sblock("root", func_name=_function(sch))
    return list(sch.get_child_blocks(root))


def _function(sch: Any) -> str:
    (name,) = (var.name_hint for var in sch.mod.get_global_vars())
    sch.work_on(name)
    return str(name)


def rule_of(sch: Any, block: Any) -> str:
    """The block's ``schedule_rule`` annotation, or ""."""
    return str(sch.get(block).annotations.get("schedule_rule", ""))


def is_reduction(sch: Any, block: Any) -> bool:
    """Whether the block folds an axis."""
    return any(int(v.iter_type) == 2 for v in sch.get(block).iter_vars)


def is_spatial(sch: Any, block: Any) -> bool:
    """Whether every axis of the block is data-parallel, and it writes one buffer."""
    node = sch.get(block)
    return all(int(v.iter_type) == 0 for v in node.iter_vars) and len(node.writes) == 1


def split_axes(sch: Any, block: Any) -> tuple[list[Any], list[Any]]:
    """The block's loops as (spatial, reduction). Only right before its loops were moved."""
    loops = sch.get_loops(block)
    kinds = [int(v.iter_type) for v in sch.get(block).iter_vars]
    if len(loops) != len(kinds):
        raise NotApplicable("loops and axes of the block are not one to one")
    return (
        [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 0],
        [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 2],
    )


def extent(sch: Any, loop: Any) -> int:
    """A loop's number of iterations."""
    return int(sch.get(loop).extent)


def written_shape(sch: Any, block: Any) -> tuple[int, ...]:
    """The shape of the buffer that the block writes."""
    return tuple(int(d) for d in sch.get(block).writes[0].source.shape)


def work_of(sch: Any, block: Any) -> int:
    """Scalar operations of a block, an upper bound: its iterations."""
    count = 1
    for loop in sch.get_loops(block):
        count *= extent(sch, loop)
    return count


def is_output(sch: Any, block: Any) -> bool:
    """Whether the block writes an argument of the function."""
    name = sch.get(block).name_hint
    root = sch.get_sblock("root")
    return any(sch.get(b).name_hint == name for b in sch.get_output_blocks(root))


def inline_prologue(sch: Any, block: Any, done: frozenset[str]) -> None:
    """Inline what feeds ``block``, so that at most the stage ``block`` itself stands before its consumer."""
    for producer in sch.get_producers(block):
        if is_spatial(sch, producer) and not is_output(sch, producer) and name_of(sch, producer) not in done:
            inline_prologue(sch, producer, done)
            if len(list(sch.get_consumers(producer))) == 1:
                sch.compute_inline(producer)


def name_of(sch: Any, block: Any) -> str:
    """The block's name, unique in its function."""
    return str(sch.get(block).name_hint)


def fold_epilogue(sch: Any, anchor: Any) -> Any:
    """Inline the chain of elementwise blocks behind ``anchor`` into one write-back block, and return that.

    Where nothing elementwise follows, a copy-out stage is made: either way the anchor accumulates in a buffer of
    its own that a tile loop can keep in registers. Later stages are left to ``schedule_rest``.
    """
    if is_output(sch, anchor):
        if list(sch.get_consumers(anchor)):
            raise NotApplicable("the anchor's result is an output and is read again")
        return sch.cache_write(anchor, 0, "global")
    names = [name_of(sch, b) for b in stages(sch)]
    before = set(names[: names.index(name_of(sch, anchor)) + 1])
    chain: list[Any] = []
    current = anchor
    while True:
        consumers = list(sch.get_consumers(current))
        if len(consumers) != 1 or not _follows(sch, consumers[0], current, first=not chain):
            break
        if any(name_of(sch, p) not in before for p in sch.get_producers(consumers[0])):
            break  # it also waits for a stage that comes later
        current = consumers[0]
        before.add(name_of(sch, current))
        chain.append(current)
        if is_output(sch, current):
            break
    if not chain:
        return sch.cache_write(anchor, 0, "global")
    for block in chain[:-1]:
        sch.compute_inline(block)
    return chain[-1]


def _follows(sch: Any, block: Any, producer: Any, *, first: bool) -> bool:
    """Whether ``block`` reads ``producer`` at its own position only. The first may leave padding rows out.

    Padding columns stay: guarded lanes would be stored one by one.
    """
    if not is_spatial(sch, block):
        return False
    made, shape = written_shape(sch, producer), written_shape(sch, block)
    cut = first and len(made) == len(shape) > 1 and made[-2] > shape[-2]
    if made != shape and not (cut and made[:-2] == shape[:-2] and made[-1] == shape[-1]):
        return False
    node = sch.get(block)
    source = sch.get(producer).writes[0].source
    axes = [v.var for v in node.iter_vars]
    reads = [r for r in node.reads if r.source.same_as(source)]
    return at_own_element(node.writes[0], axes) and all(at_own_element(r, axes) for r in reads)


def at_own_element(region: Any, axes: list[Any]) -> bool:
    """Whether a block accesses exactly the element at its axes' values (unit axes may be written as 0)."""
    if len(region.region) != len(axes):
        return False
    for part, axis in zip(region.region, axes, strict=True):
        # A cast has a value, too: an index that was read from a tensor.
        one = type(part.extent).__name__ == "IntImm" and int(part.extent) == 1
        first = type(part.min).__name__ == "IntImm" and int(part.min) == 0
        if not one or not (first or part.min.same_as(axis)):
            return False
    return True


def fuse_parallel(sch: Any, loops: list[Any], work: int) -> Any:
    """Fuse ``loops``, and run them on the pool when the function's ``work`` is worth waking it."""
    outer = sch.fuse(*loops) if len(loops) > 1 else loops[0]
    if work >= PARALLEL_OPERATIONS and extent(sch, outer) > 1:
        sch.parallel(outer)
    return outer


def divisors(n: int) -> list[int]:
    """Ascending divisors of n."""
    return [d for d in range(1, n + 1) if n % d == 0]
