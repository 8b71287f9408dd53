"""Optima: compile one PyTorch model for several devices at once.

``optima.manager.Manager().optimize(...)`` compiles, ``optima.runtime`` runs, ``optima.verify`` compares with
PyTorch, ``optima.check`` tells what would be refused, ``optima.toolchains()`` what is installed. Everything here
loads on first use: importing optima imports neither torch nor tvm.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import optima.errors as errors
from optima.version import __version__

if TYPE_CHECKING:
    from optima.graph_io import load_graph
    from optima.installed import toolchains
    from optima.manager import CompiledModel, Manager, check
    from optima.verification import verify

_LAZY = {
    "CompiledModel": "optima.manager",
    "Manager": "optima.manager",
    "check": "optima.manager",
    "load_graph": "optima.graph_io",
    "toolchains": "optima.installed",
    "verify": "optima.verification",
}

__all__ = ["CompiledModel", "Manager", "__version__", "check", "errors", "load_graph", "toolchains", "verify"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in errors.CLASSES or name in errors.FORMER:
        return errors.load(name)
    raise AttributeError(f"module 'optima' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *errors.CLASSES])
