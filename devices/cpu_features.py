"""Which instruction-set features this CPU has, in LLVM's names. No TVM: the runtime asks before it opens code."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

#: LLVM's feature name -> the kernel's name in ``/proc/cpuinfo`` (Linux: arch/x86/include/asm/cpufeatures.h,
#: LLVM: X86.td). Only features whose instructions a code generator emits; tuning flags are not features.
_X86 = {
    "adx": "adx", "aes": "aes", "amx-bf16": "amx_bf16", "amx-int8": "amx_int8", "amx-tile": "amx_tile",
    "avx": "avx", "avx2": "avx2", "avx512bf16": "avx512_bf16", "avx512bitalg": "avx512_bitalg",
    "avx512bw": "avx512bw", "avx512cd": "avx512cd", "avx512dq": "avx512dq", "avx512f": "avx512f",
    "avx512fp16": "avx512_fp16", "avx512ifma": "avx512ifma", "avx512vbmi": "avx512vbmi",
    "avx512vbmi2": "avx512_vbmi2", "avx512vl": "avx512vl", "avx512vnni": "avx512_vnni",
    "avx512vpopcntdq": "avx512_vpopcntdq", "avxvnni": "avx_vnni", "bmi": "bmi1", "bmi2": "bmi2",
    "cmov": "cmov", "crc32": "sse4_2", "cx16": "cx16", "cx8": "cx8", "f16c": "f16c", "fma": "fma",
    "fxsr": "fxsr", "gfni": "gfni", "lzcnt": "abm", "mmx": "mmx", "movbe": "movbe", "pclmul": "pclmulqdq",
    "popcnt": "popcnt", "prfchw": "3dnowprefetch", "sahf": "lahf_lm", "sha": "sha_ni", "sse": "sse",
    "sse2": "sse2", "sse3": "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "ssse3": "ssse3", "vaes": "vaes",
    "vpclmulqdq": "vpclmulqdq",
}  # fmt: skip

#: the same for AArch64 (Linux: arch/arm64/kernel/cpuinfo.c, LLVM: AArch64Features.td)
_AARCH64 = {
    "aes": "aes", "altnzcv": "flagm2", "bf16": "bf16", "complxnum": "fcma", "crc": "crc32", "cssc": "cssc",
    "dotprod": "asimddp", "flagm": "flagm", "fp-armv8": "fp", "fp16fml": "asimdfhm", "fptoint": "frint",
    "fullfp16": "asimdhp", "i8mm": "i8mm", "jsconv": "jscvt", "lse": "atomics", "mops": "mops",
    "neon": "asimd", "rcpc": "lrcpc", "rdm": "asimdrdm", "sha2": "sha2", "sha3": "sha3", "sve": "sve",
    "sve2": "sve2",
}  # fmt: skip

#: the same for 32-bit ARM (Linux: arch/arm/kernel/setup.c, LLVM: ARMFeatures.td). Two have no flag of their own:
#: every VFPv4 converts half floats, and every CPU with crc32 is an ARMv8, whose floating-point unit is ARMv8's.
_ARM = {
    "aes": "aes", "crc": "crc32", "d32": "vfpd32", "dotprod": "asimddp", "fp-armv8": "crc32", "fp16": "vfpv4",
    "fp16fml": "asimdfhm", "fullfp16": "asimdhp", "hwdiv": "idivt", "hwdiv-arm": "idiva", "i8mm": "i8mm",
    "neon": "neon", "sha2": "sha2", "vfp2": "vfp", "vfp3": "vfpv3", "vfp4": "vfpv4",
}  # fmt: skip


#: a 64-bit kernel's machine -> the machine that its 32-bit processes are on
_NARROW = {"x86_64": "i686", "amd64": "i686", "aarch64": "armv7l", "arm64": "armv7l", "armv8l": "armv7l"}


def process_machine() -> str:
    """``platform.machine()`` in lower case, of this process: a 32-bit one on a 64-bit kernel runs 32-bit code."""
    machine = platform.machine().lower()
    return _NARROW.get(machine, machine) if sys.maxsize < 2**32 else machine


def known_features(machine: str = "") -> dict[str, str]:
    """LLVM feature -> ``/proc/cpuinfo`` flag, for an architecture by ``platform.machine()``'s name or a triple's."""
    machine = machine.lower() or process_machine()
    if machine in ("aarch64", "arm64"):
        return dict(_AARCH64)
    if machine.startswith("arm"):
        return dict(_ARM)
    return dict(_X86) if machine in ("x86_64", "amd64", "i386", "i686") else {}


@cache
def host_features(cpuinfo: str = "/proc/cpuinfo") -> frozenset[str]:
    """The features of the CPU that runs this process, by LLVM's names. Empty where ``cpuinfo`` cannot be read."""
    try:
        text = Path(cpuinfo).read_text()
    except OSError:
        return frozenset()
    flags: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flags = set(value.split())
            break
    return frozenset(name for name, flag in known_features().items() if flag in flags)


def missing(features: Iterable[str]) -> list[str]:
    """Those of ``features`` that this CPU lacks, sorted; a name that Optima does not know counts as lacking."""
    return sorted(set(features) - host_features())
