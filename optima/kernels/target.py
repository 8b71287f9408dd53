"""The CPU that kernels are compiled for, resolved to a feature list before anything is compiled."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from devices import UserError
from devices.cpu_features import host_features, known_features

#: the machine names of the two Linux families and the triple that LLVM is given for them
_TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


class UnknownCpu(UserError):
    """A CPU name that LLVM does not have for the architecture.

    Example: ``target_cpu="x86-64-v33"``. Fix: one of the names in the hint, such as ``"x86-64-v3"``.
    """


#: x86-64 psABI, "Micro-Architecture Levels": what each level adds, but for xsave, which no kernel uses
_LEVELS = {
    "x86-64-v2": {"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"},
    "x86-64-v3": {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
    "x86-64-v4": {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
}


@dataclass(frozen=True)
class CpuTarget:
    """A resolved CPU: what schedules and code generation may use, and all that a cache key needs.

    ``features``: LLVM's names of the instruction-set features that code may use, sorted; never tuning flags.
    ``vector_bits``, ``vector_registers``: the widest vector unit. ``threads``: cores to schedule for.
    """

    triple: str
    cpu: str
    features: tuple[str, ...]
    vector_bits: int
    vector_registers: int
    threads: int

    @property
    def lanes(self) -> int:
        """float32 elements in one vector."""
        return self.vector_bits // 32

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``from_dict`` reads it back."""
        return {
            "triple": self.triple,
            "cpu": self.cpu,
            "features": list(self.features),
            "vector_bits": self.vector_bits,
            "vector_registers": self.vector_registers,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CpuTarget:
        """The target that ``to_dict`` gave."""
        return cls(**{**data, "features": tuple(data["features"])})

    def tvm_target(self) -> Any:
        """This CPU as a ``tvm.target.Target``. Every known feature is switched on or off explicitly.

        A virtual machine masks features that its CPU model has by name, so the name alone would let LLVM emit
        instructions that trap. ``-prefer-256-bit``: LLVM would otherwise split every 512-bit vector in two.
        LLVM's own vectorisers are off: schedules vectorise what pays. The one for loops turned predicated loads
        into gathers, and one such loop gave wrong values; the one for straight-line code gives wrong positions for
        an unrolled search for the largest integer (``max_pool2d`` with indices, int64, four windows of 3 x 3).
        """
        import tvm

        settings = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.cpu,
            "mattr": attributes(self.triple, self.features),
            "num-cores": self.threads,
            "cl-opt": ["-vectorize-loops:bool=0", "-vectorize-slp:bool=0"],
        }
        if self.triple.endswith("eabihf"):
            settings["mfloat-abi"] = "hard"  # TVM does not take it from the triple
        return tvm.target.Target(settings)


def attributes(triple: str, features: tuple[str, ...]) -> list[str]:
    """Every feature of the architecture that Optima knows, with the sign that LLVM takes for on or off."""
    known = known_features(triple.split("-")[0])
    signs = [f"-{name}" for name in sorted(known) if name not in features]
    signs += [f"+{name}" for name in features]
    return [*signs, "-prefer-256-bit"] if triple.startswith("x86_64") else signs


def resolve(target_cpu: str = "", *, threads: int = 0, triple: str = "") -> CpuTarget:
    """The target for an LLVM CPU name, or for the compiling machine where ``target_cpu`` is "".

    ``threads`` 0 means as many cores as this process may use. Raises UnknownCpu with near matches.
    """
    machine = platform.machine()
    triple = triple or _TRIPLES.get(machine, f"{machine}-linux-gnu")
    architecture = triple.split("-")[0]
    if target_cpu == "":
        features = tuple(sorted(host_features()))
        cpu = _level(architecture, features)
    else:
        names = cpu_names(triple)
        if target_cpu not in names:
            raise UnknownCpu(
                f"LLVM knows no {architecture} CPU named {target_cpu!r}", hint=near_names(target_cpu, names)
            )
        cpu = target_cpu
        features = model_features(triple, cpu)
    bits, registers = vectors(architecture, features)
    return CpuTarget(triple, cpu, features, bits, registers, threads or len(os.sched_getaffinity(0)))


def near_names(wanted: str, names: tuple[str, ...]) -> str:
    """What to write in the place of a CPU name that LLVM does not have."""
    near = difflib.get_close_matches(wanted, names, n=4)
    if wanted == "native":
        return 'give target_cpu="" for the CPU that compiles'
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"use one of {', '.join(names)}"


def vectors(architecture: str, features: tuple[str, ...]) -> tuple[int, int]:
    """(bits, registers) of the widest float vectors: zmm, ymm, xmm or NEON. 32-bit x86 reaches eight of each."""
    have = set(features)
    if architecture == "aarch64":
        return 128, 32
    if architecture.startswith("arm"):
        return 128, 16
    few = 8 if architecture == "i686" else 0
    if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= have:
        return 512, few or 32
    return (256, few or 16) if {"avx2", "fma"} <= have else (128, few or 16)


def _level(architecture: str, features: tuple[str, ...]) -> str:
    """The CPU name for a host with these features: the highest level of the x86-64 psABI that it reaches.

    A level instead of the model's name: machines with equal features share kernels, LLVM need not be loaded
    to ask, and with every feature spelt out the name only picks LLVM's instruction timings; ResNet-18 took the
    same time either way.
    """
    if architecture != "x86_64":
        return "generic"
    reached = "x86-64"
    for name, needed in _LEVELS.items():
        if not needed <= set(features):
            break
        reached = name
    return reached


@cache
def cpu_names(triple: str) -> tuple[str, ...]:
    """The names of LLVM's CPU models for an architecture."""
    import tvm
    from tvm.target import codegen

    bare = tvm.target.Target({"kind": "llvm", "mtriple": triple})
    return tuple(str(name) for name in codegen.llvm_get_cpu_archlist(bare))


@cache
def model_features(triple: str, cpu: str, signed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a CPU model has after the changes ``signed`` (``"+dotprod"``), with all that follows from them; sorted."""
    import tvm
    from tvm.target import codegen

    changes = {"mattr": list(signed)} if signed else {}
    target = tvm.target.Target({"kind": "llvm", "mtriple": triple, "mcpu": cpu, **changes})
    known = known_features(triple.split("-")[0])
    return tuple(sorted(known.keys() & {str(f) for f in codegen.llvm_get_cpu_features(target)}))
