"""The table of operators: name -> entry. Built-in families load on first use; users add with ``register``."""

from __future__ import annotations

import importlib
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
    "views",
    "splitting",
    "joining",
    "contraction",
    "einsum",
    "products",
    "distances",
    "convolution",
    "pooling",
    "reduction",
    "statistics",
    "softmax",
    "scan",
    "ordering",
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


def register(entry: OpEntry) -> None:
    """Add a user's operator for this process. Raises DuplicateOp when the name is taken."""
    if entry_of(entry.name) is not None:
        raise DuplicateOp(f"an operator named {entry.name!r} exists", hint="choose another name")
    _REGISTERED[entry.name] = entry
