"""The table of operators: name -> entry. Built-in families load on first use; users add with ``register``."""

from __future__ import annotations

import importlib
import sys
from functools import cache

from devices import UserError
from optima.ops.entry import OpEntry

#: the family files, in the order of the support matrix; each has ``ENTRIES``
FAMILIES = (
    "elementwise",
    "activation",
    "arithmetic",
    "compare",
    "special",
    "bitwise",
    "divisors",
    "views",
    "splitting",
    "joining",
    "contraction",
    "einsum",
    "products",
    "grouped",
    "distances",
    "convolution",
    "pooling",
    "fractional_pool",
    "reduction",
    "statistics",
    "histogram",
    "softmax",
    "scan",
    "ordering",
    "quantile",
    "searching",
    "normalization",
    "attention",
    "indexing",
    "embedding",
    "scatter",
    "putting",
    "strided",
    "patches",
    "detection",
    "resize",
    "grid_sample",
    "recurrent",
    "cells",
    "creation",
    "blocked",
)

_REGISTERED: dict[str, OpEntry] = {}


class DuplicateOp(UserError):
    """Two entries of one name.

    Example: ``optima.ops.register(OpEntry("conv2d", ...))``. Fix: choose a name that no operator has.
    """


@cache
def _builtin() -> dict[str, OpEntry]:
    table: dict[str, OpEntry] = {}
    for family in FAMILIES:
        for entry in importlib.import_module(f"optima.ops.{family}").ENTRIES:
            if entry.name in table:
                raise DuplicateOp(f"two built-in entries are named {entry.name!r}")
            table[entry.name] = entry
    return table


def entry_of(name: str) -> OpEntry | None:
    """The entry of an operator, or None."""
    return _REGISTERED.get(name) or _builtin().get(name)


def all_entries() -> tuple[OpEntry, ...]:
    """Every entry, built-in ones first, in table order."""
    return (*_builtin().values(), *_REGISTERED.values())


def is_registered(name: str) -> bool:
    """Whether the operator is one of the user's own."""
    return name in _REGISTERED


def register(entry: OpEntry, *, replace: bool = False) -> None:
    """Add a user's operator for this process; with a ``source``, calls of that torch operator convert to it.

    ``replace=True`` takes the place of an entry that was registered before, as a notebook's cell does that runs
    again. Raises DuplicateOp when the name is taken, and RegisterError, listing every fault, for an entry that
    does not hold together or does not fit its torch operator.
    """
    from optima.ops.declaration import check_entry
    from optima.ops.reference import forget_types
    from torch2nx.extensions import register_op

    check_entry(entry)
    if entry.name in _builtin():
        raise DuplicateOp(f"Optima has an operator named {entry.name!r}", hint="choose another name")
    if entry.name in _REGISTERED and not replace:
        raise DuplicateOp(
            f"an operator named {entry.name!r} is registered already",
            hint="choose another name, or pass replace=True to take its place",
        )
    if entry.source:
        register_op(entry.source, entry.name, str(sys._getframe(1).f_globals.get("__name__", "")))
    _REGISTERED[entry.name] = entry
    forget_types()
