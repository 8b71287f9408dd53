"""Which op a key was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

#: comparisons of two names that one map may cost: each takes some 20 microseconds
_BUDGET = 20_000


def match_misspelt(unknown: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """Unknown key -> the missing op that it most likely stands for, each op for one key at most.

    The running number decides first, for each names one op of a graph (``ad_5`` is ``add_5``), then
    likeness of the whole name (difflib) as long as that is cheap.
    """
    free = dict.fromkeys(missing)
    by_number = {_number(op): op for op in missing if _number(op)}
    found: dict[str, str] = {}
    for key in unknown:
        op = by_number.get(_number(key))
        if op in free and (op.lower() == key.lower() or _alike(key, op)):
            found[key] = op
            del free[op]
    for key in unknown:
        if key not in found and len(unknown) * len(free) <= _BUDGET:
            near = difflib.get_close_matches(key[:100], free, n=1, cutoff=0.75)
            if near:
                found[key] = near[0]
                del free[near[0]]
    return found


def nearest(key: str, names: Sequence[str], keys: int) -> str:
    """The name most like ``key``, "" if none is, or if looking for it for all ``keys`` would take long."""
    if keys * len(names) > _BUDGET:
        return ""
    return next(iter(difflib.get_close_matches(key[:100], names, n=1, cutoff=0.75)), "")


def _number(name: str) -> str:
    number = name.rpartition("_")[2]
    return number if number.isdigit() else ""


def _alike(key: str, op: str) -> bool:
    return len(key) < 100 and difflib.SequenceMatcher(None, key, op).ratio() >= 0.6
