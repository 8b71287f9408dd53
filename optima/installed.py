"""What this machine has to compile for each kind of device, and what is missing."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from devices import DeviceEnum, spec_of
from optima.backends import module_of
from optima.tools import Tool


@dataclass(frozen=True)
class Toolchain:
    """The tools of one kind of device. ``backend`` is "" for a kind that has none."""

    kind: DeviceEnum
    backend: str
    tools: tuple[Tool, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that is not optional is here."""
        return bool(self.backend) and all(tool.found or tool.optional for tool in self.tools)

    def __str__(self) -> str:
        head = f"{self.kind.value}  {self.backend or 'no backend'}  {'ready' if self.complete else 'not ready'}"
        return "\n".join([head, *(f"  {tool}" for tool in self.tools)])


def toolchains() -> dict[DeviceEnum, Toolchain]:
    """For each kind of device its default backend and tools: found, version, missing, the install command."""
    return {kind: _of(kind) for kind in DeviceEnum}


def _of(kind: DeviceEnum) -> Toolchain:
    spec = spec_of(kind)
    if not spec.backend:
        return Toolchain(kind, "", ())
    name = module_of(spec.backend) + ".tools"
    if importlib.util.find_spec(name) is None:
        return Toolchain(kind, spec.backend, ())
    return Toolchain(kind, spec.backend, tuple(importlib.import_module(name).tools(kind)))
