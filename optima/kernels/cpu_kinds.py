"""What each CPU kind is compiled for: this machine's CPU, a stated baseline, or what device options ask for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devices import DeviceEnum, Problem
from devices.cpu_features import known_features, process_machine
from optima.backends.device_options import DeviceOptionError
from optima.kernels.target import CpuTarget, attributes, cpu_names, model_features, near_names, resolve, vectors

#: cores that kernels for another machine are scheduled for; the number of the compiling machine says nothing there
THREADS = 4
_MOST_THREADS = 1024


@dataclass(frozen=True)
class Baseline:
    """A CPU that most machines of a kind are at least: LLVM's name, and all its features by LLVM's names, sorted.

    ``needed``: what schedules and the calling convention rely on, so that no option may take it away.
    """

    triple: str
    cpu: str
    features: tuple[str, ...]
    needed: tuple[str, ...]


BASELINES = {
    DeviceEnum.DEVICE_KIND_X64: Baseline(
        "x86_64-linux-gnu",
        "x86-64-v3",
        ("avx", "avx2", "bmi", "bmi2", "cmov", "crc32", "cx16", "cx8", "f16c", "fma", "fxsr", "lzcnt", "mmx", "movbe",
         "popcnt", "sahf", "sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3"),
        ("sse2",),
    ),
    DeviceEnum.DEVICE_KIND_X86: Baseline(
        "i686-linux-gnu", "pentium4", ("cmov", "cx8", "fxsr", "mmx", "sse", "sse2"), ("sse2",)
    ),
    DeviceEnum.DEVICE_KIND_ARM: Baseline(
        "armv7a-linux-gnueabihf",
        "cortex-a7",
        ("d32", "fp16", "hwdiv", "hwdiv-arm", "neon", "vfp2", "vfp3", "vfp4"),
        ("neon",),
    ),
    DeviceEnum.DEVICE_KIND_ARM64: Baseline("aarch64-linux-gnu", "generic", ("fp-armv8", "neon"), ("neon",)),
}  # fmt: skip


def target_of(kind: DeviceEnum, target_cpu: str, options: Mapping[str, Any]) -> CpuTarget:
    """The target of a CPU kind. ``target_cpu`` is for X64 alone; ``options`` are the kind's device options.

    Options: ``cpu`` (an LLVM CPU name), ``features`` (``"+dotprod,-aes"``, or a list of such) and ``threads``
    (cores to schedule for). Raises DeviceOptionError with everything that is wrong, UnknownCpu for ``target_cpu``.
    """
    is_x64 = kind is DeviceEnum.DEVICE_KIND_X64
    here = is_x64 and is_native("x86_64")
    problems = [*_option_problems(kind, target_cpu if is_x64 else "", options)]
    if not problems:
        cpu = options.get("cpu", "") or (target_cpu if is_x64 else "")
        base = resolve(cpu) if here else _elsewhere(BASELINES[kind], cpu)
        target = _changed(base, signed(options.get("features", ())))
        problems = [*_feature_problems(BASELINES[kind], target, signed(options.get("features", ())))]
    if problems:
        raise DeviceOptionError(
            f"the device options of {kind.value} cannot be used", problems=problems, hint=_hint(kind)
        )
    return replace(target, threads=options.get("threads", target.threads))


def is_native(architecture: str) -> bool:
    """Whether this process runs code of an architecture, given as a triple's first word."""
    machine = process_machine()
    return {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "armv7a"}.get(machine, machine) == architecture


def signed(features: Any) -> tuple[str, ...]:
    """The changes to a feature list one by one: ``"+dotprod, -aes"`` -> ``("+dotprod", "-aes")``."""
    listed = features.split(",") if isinstance(features, str) else features
    return tuple(text for item in listed if (text := str(item).strip()))


def _elsewhere(baseline: Baseline, cpu: str) -> CpuTarget:
    """A target for another machine; ``cpu`` "" is the baseline's own."""
    if cpu:
        return resolve(cpu, threads=THREADS, triple=baseline.triple)
    bits, registers = vectors(_architecture(baseline), baseline.features)
    return CpuTarget(baseline.triple, baseline.cpu, baseline.features, bits, registers, THREADS)


def _changed(target: CpuTarget, changes: tuple[str, ...]) -> CpuTarget:
    if not changes:
        return target
    every = (*attributes(target.triple, target.features), *changes)
    features = model_features(target.triple, target.cpu, every)
    bits, registers = vectors(target.triple.split("-")[0], features)
    return replace(target, features=features, vector_bits=bits, vector_registers=registers)


def _architecture(baseline: Baseline) -> str:
    return baseline.triple.split("-")[0]


def _option_problems(kind: DeviceEnum, target_cpu: str, options: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with each option by itself."""
    checks = {"cpu": _cpu_problems, "features": _name_problems, "threads": _threads_problems}
    for key in sorted(set(options) - set(checks)):
        yield Problem(key, f"is no option of {kind.value}; the options are {', '.join(checks)}")
    for key, check in checks.items():
        if key in options:
            yield from check(BASELINES[kind], options[key])
    if target_cpu and options.get("cpu", target_cpu) != target_cpu:
        yield Problem("cpu", f"is {options['cpu']!r:.40}, and target_cpu is {target_cpu!r:.40}: give one of them")


def _cpu_problems(baseline: Baseline, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str) or not value:
        yield Problem("cpu", f"is {value!r:.40}; give an LLVM CPU name such as {baseline.cpu!r}")
    elif value not in (names := cpu_names(baseline.triple)):
        yield Problem(
            "cpu", f"LLVM knows no {_architecture(baseline)} CPU named {value!r:.40}: {near_names(value, names)}"
        )


def _name_problems(baseline: Baseline, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str | Sequence) or not all(isinstance(item, str) for item in value):
        yield Problem("features", f"is {value!r:.40}; give text such as '+{baseline.features[0]}'")
        return
    known = sorted(known_features(_architecture(baseline)))
    for change in signed(value):
        name = change[1:]
        if not re.fullmatch(r"[+-]\S+", change):
            yield Problem("features", f"{change!r:.40} begins with neither + nor -")
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=3) or known
            yield Problem("features", f"there is no feature {name!r:.40}: use one of {', '.join(near)}")


def _threads_problems(baseline: Baseline, value: Any) -> Iterator[Problem]:
    if type(value) is not int or not 1 <= value <= _MOST_THREADS:
        yield Problem("threads", f"is {value!r:.40}; give a number of cores from 1 to {_MOST_THREADS}")


def _feature_problems(baseline: Baseline, target: CpuTarget, changes: tuple[str, ...]) -> Iterator[Problem]:
    """What is wrong with the features that came out."""
    for name in baseline.needed:
        if name not in target.features:
            yield Problem("features", f"{target.cpu} would be without {name}, which all kernels use")
    for change in changes:
        if (change[0] == "+") != (change[1:] in target.features):
            yield Problem("features", f"{change} is undone by another of them")


def _hint(kind: DeviceEnum) -> str:
    baseline = BASELINES[kind]
    if kind is DeviceEnum.DEVICE_KIND_X64:
        return "without options X64 is the CPU that compiles"
    return f"without options {kind.value} is {baseline.cpu} with {', '.join(baseline.features)}"
