"""The backends: name -> thunk. Nothing heavy is imported until a backend is used.

A package adds its own with the entry-point group ``optima.backends``: the entry's value names a module with
``backend() -> Backend`` and, in a submodule ``load``, ``load(view, device, env) -> Executable``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from devices import DeviceRef, UserError, spec_of
from optima.backends.base import Backend, Executable, LoadEnv, SubgraphView

Load = Callable[[SubgraphView, DeviceRef, LoadEnv], Executable]

#: name -> module of a built-in backend
_BUILTIN = {
    "cuda": "optima.backends.cuda",
    "edgetpu": "optima.backends.edgetpu",
    "llvm": "optima.backends.llvm",
    "null": "optima.backends.null",
    "openvino": "optima.backends.openvino",
    "reference": "optima.backends.reference",
    "snpe": "optima.backends.snpe",
    "spirv": "optima.backends.spirv",
    "vendor_bundle": "optima.backends.vendor_bundle",
}


class UnknownBackend(UserError):
    """A backend name that nothing registers.

    Example: ``Manager().optimize(..., backends={"X64": "lvm"})``. Fix: use a name that the hint lists.
    """


#: name -> module of the backends added in this process
_ADDED: dict[str, str] = {}


def register(name: str, module: str) -> None:
    """Add a backend for this process; ``module`` is as for the entry point. Raises UserError for a taken name."""
    if name in backend_names():
        raise UserError(f"a backend named {name!r} exists", hint="choose another name")
    _ADDED[name] = module
    _modules.cache_clear()


@cache
def _modules() -> dict[str, str]:
    modules = {**_BUILTIN, **_ADDED}
    for entry in sorted(entry_points(group="optima.backends"), key=lambda e: e.name):
        if entry.name in modules:
            raise UserError(f"two backends are named {entry.name!r}: {modules[entry.name]} and {entry.value}")
        modules[entry.name] = entry.value
    return modules


def backend_names() -> tuple[str, ...]:
    """Every registered backend."""
    return tuple(sorted(_modules()))


def module_of(name: str) -> str:
    """The package that holds a backend. Raises UnknownBackend."""
    modules = _modules()
    if name not in modules:
        raise UnknownBackend(f"there is no backend {name!r}", hint=f"use one of {', '.join(sorted(modules))}")
    return modules[name]


@cache
def backend_of(name: str) -> Backend:
    """The compile half of a backend. Raises UnknownBackend."""
    made: Backend = importlib.import_module(module_of(name) + ".backend").backend()
    return made


@cache
def loader_of(name: str) -> Load:
    """The run half of a backend: its ``load`` function. Imports nothing of the compile half."""
    load: Load = importlib.import_module(module_of(name) + ".load").load
    return load


def default_backend(device: DeviceRef) -> str:
    """The backend's name for a device, "" where its kind has none yet."""
    return spec_of(device.kind).backend
