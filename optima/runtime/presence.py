"""Which devices this machine has, and whether its CPU can execute what a model holds."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterator, Sequence

from devices import DeviceEnum, DeviceRef, Family, Problem
from optima.artifact.manifest import SubgraphMeta
from optima.native.cpu_features import missing
from optima.runtime.errors import WrongCpu

#: ``platform.machine()`` -> the CPU kind whose code this process runs, and LLVM's names for the architecture
_MACHINES = {
    "x86_64": (DeviceEnum.DEVICE_KIND_X64, ("x86_64",)),
    "amd64": (DeviceEnum.DEVICE_KIND_X64, ("x86_64",)),
    "i686": (DeviceEnum.DEVICE_KIND_X86, ("i386", "i486", "i586", "i686")),
    "i386": (DeviceEnum.DEVICE_KIND_X86, ("i386", "i486", "i586", "i686")),
    "aarch64": (DeviceEnum.DEVICE_KIND_ARM64, ("aarch64", "arm64")),
    "arm64": (DeviceEnum.DEVICE_KIND_ARM64, ("aarch64", "arm64")),
    "armv7l": (DeviceEnum.DEVICE_KIND_ARM, ("arm", "armv7", "armv7a")),
}

Present = Callable[[DeviceRef], bool]


def host_kind() -> DeviceEnum | None:
    """The CPU kind of this process, None for an architecture that no kind stands for."""
    found = _MACHINES.get(platform.machine().lower())
    return found[0] if found else None


def available_devices() -> tuple[DeviceRef, ...]:
    """One instance of each kind that is here. Of a CPU kind every index exists, and all share the cores."""
    kind = host_kind()
    return () if kind is None else (DeviceRef(kind, 0),)


def presence_of(load: Callable[..., object]) -> Present:
    """How a backend tells whether a device is here: ``present(device)`` beside its ``load``, else by kind."""
    module = importlib.import_module(load.__module__)
    found: Present = getattr(module, "present", lambda device: device.kind is host_kind())
    return found


def check_cpu(parts: Sequence[SubgraphMeta]) -> None:
    """Raise WrongCpu, with every subgraph that holds code which this CPU cannot execute."""
    problems = [problem for part in parts for problem in _cpu_problems(part)]
    if problems:
        raise WrongCpu(
            "this CPU cannot execute the model",
            problems=problems,
            hint='compile it on this machine, or with target_cpu="x86-64-v3" for most x86-64 machines',
        )


def _cpu_problems(part: SubgraphMeta) -> Iterator[Problem]:
    triple = part.target.get("triple")
    if not isinstance(triple, str) or not _is_cpu(part):
        return
    machine = platform.machine().lower()
    names = _MACHINES[machine][1] if machine in _MACHINES else (machine,)
    if triple.partition("-")[0] not in names:
        yield Problem(part.name, f"was compiled for {triple}, and this is a {machine}")
        return
    features = part.target.get("features")
    if not isinstance(features, list | tuple) or not all(isinstance(f, str) for f in features):
        yield Problem(part.name, "does not say which CPU features its code needs")
        return
    lacking = missing(features)
    if lacking:
        cpu = part.target.get("cpu", "another CPU")
        yield Problem(part.name, f"was compiled for {cpu}; this CPU lacks {', '.join(lacking)}")


def _is_cpu(part: SubgraphMeta) -> bool:
    return any(DeviceRef.parse(device).kind.family is Family.CPU for device in part.devices)
