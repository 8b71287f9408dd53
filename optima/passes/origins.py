"""Where an op came from survives every pass: replaced ops hand their origins on."""

from __future__ import annotations

from collections.abc import Iterable

from optima.graph import Graph, Op, Origin


def merged_origins(*ops: Op) -> tuple[Origin, ...]:
    """The origins of all ``ops``, each once, in order."""
    return union(*(op.origins for op in ops))


def union(*origins: Iterable[Origin]) -> tuple[Origin, ...]:
    """Each origin once, in order of first appearance."""
    return tuple(dict.fromkeys(o for group in origins for o in group))


def lost_origins(before: Graph, after: Graph) -> tuple[Origin, ...]:
    """Origins of ops that some output of ``before`` depends on, and that no op of ``after`` has."""
    kept = {origin for op in after.ops for origin in op.origins}
    live = set(before.outputs)
    lost: list[Origin] = []
    for op in reversed(before.ops):
        if live.isdisjoint(op.outputs):
            continue
        live.update(op.inputs)
        lost += [o for o in op.origins if o not in kept]
    return union(reversed(lost))
