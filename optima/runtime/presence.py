"""Which devices this machine has, and whether its CPU can execute what a model holds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from devices import DeviceEnum, DeviceRef, Family, Problem, spec_of
from optima.artifact.manifest import FormMeta
from optima.backends import loader_of
from optima.native.cpu_features import missing, process_machine
from optima.runtime.errors import WrongCpu

#: ``process_machine()`` -> the CPU kind whose code this process runs, and LLVM's names for the architecture
_MACHINES = {
    "x86_64": (DeviceEnum.DEVICE_KIND_X64, ("x86_64",)),
    "amd64": (DeviceEnum.DEVICE_KIND_X64, ("x86_64",)),
    "i686": (DeviceEnum.DEVICE_KIND_X86, ("i386", "i486", "i586", "i686")),
    "i386": (DeviceEnum.DEVICE_KIND_X86, ("i386", "i486", "i586", "i686")),
    "aarch64": (DeviceEnum.DEVICE_KIND_ARM64, ("aarch64", "arm64")),
    "arm64": (DeviceEnum.DEVICE_KIND_ARM64, ("aarch64", "arm64")),
    "armv7l": (DeviceEnum.DEVICE_KIND_ARM, ("arm", "armv7", "armv7a")),
}

#: instances of a kind that are looked for
_MOST = 64

_LACKING = 'compile it on this machine, or with target_cpu="x86-64-v3" for most x86-64 machines'
_FOREIGN = (
    "another architecture's code has no simulator inside this process, and fallback=True gives it none: load it on a "
    "machine of its kind, or map its ops to a device that is here"
)

#: (device, what the subgraph was compiled for, as its backend's ``resolve`` gave it) -> whether the device is here
Present = Callable[[DeviceRef, Mapping[str, Any]], bool]


def host_kind() -> DeviceEnum | None:
    """The CPU kind of this process, None for an architecture that no kind stands for."""
    found = _MACHINES.get(process_machine())
    return found[0] if found else None


def available_devices() -> tuple[DeviceRef, ...]:
    """The devices that are here, as far as the backends of their kinds can tell: hardware with its driver.

    Of this machine's CPU kind one instance stands for all: every index exists, and they share the cores.
    """
    found = [DeviceRef(kind, 0)] if (kind := host_kind()) else []
    for other in DeviceEnum:
        backend = spec_of(other).backend
        if other.family is not Family.CPU and backend:
            found += _instances(other, presence_of(loader_of(backend)))
    return tuple(found)


def _instances(kind: DeviceEnum, is_present: Present) -> Iterator[DeviceRef]:
    for index in range(_MOST):
        device = DeviceRef(kind, index)
        if not is_present(device, {}):
            return
        yield device


def presence_of(load: Callable[..., object]) -> Present:
    """How a backend tells whether a device is here, by a function beside its ``load``.

    That is ``present_for(device, target)`` where it depends on what was compiled, ``present(device)`` where it does
    not; a backend without either runs on this machine's CPU.
    """
    module = importlib.import_module(load.__module__)
    by_target: Present | None = getattr(module, "present_for", None)
    if by_target is not None:
        return by_target
    present: Callable[[DeviceRef], bool] = getattr(module, "present", lambda device: device.kind is host_kind())
    return lambda device, target: present(device)


def check_cpu(parts: Sequence[tuple[str, FormMeta, DeviceRef]]) -> None:
    """``parts``: a subgraph's name, the form that is to run and its device. Raise WrongCpu, with every subgraph whose
    form is code for a CPU that this one cannot execute."""
    on_cpu = [(name, form) for name, form, device in parts if device.kind.family is Family.CPU]
    problems = [problem for name, form in on_cpu for problem in _cpu_problems(name, form)]
    if problems:
        foreign = any(not _is_of_this_machine(triple) for _, form in on_cpu if (triple := _triple(form)))
        raise WrongCpu(
            "this CPU cannot execute the model",
            problems=problems,
            hint=_FOREIGN if foreign else _LACKING,
        )


def _cpu_problems(name: str, form: FormMeta) -> Iterator[Problem]:
    triple = _triple(form)
    if not triple:
        return
    if not _is_of_this_machine(triple):
        yield Problem(name, f"was compiled for {triple}, and this is a {process_machine()}")
        return
    features = form.target.get("features")
    if not isinstance(features, list | tuple) or not all(isinstance(f, str) for f in features):
        yield Problem(name, "does not say which CPU features its code needs")
        return
    lacking = missing(features)
    if lacking:
        cpu = form.target.get("cpu", "another CPU")
        yield Problem(name, f"was compiled for {cpu}; this CPU lacks {', '.join(lacking)}")


def _is_of_this_machine(triple: str) -> bool:
    machine = process_machine()
    names = _MACHINES[machine][1] if machine in _MACHINES else (machine,)
    return triple.partition("-")[0] in names


def _triple(form: FormMeta) -> str:
    """What a form's code was compiled for; "" for one that says nothing."""
    triple = form.target.get("triple")
    return triple if isinstance(triple, str) else ""
