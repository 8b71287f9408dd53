"""Which instruction-set features this CPU has, in LLVM's names. No TVM: the runtime asks before it opens code."""

from __future__ import annotations

import platform
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
    "aes": "aes", "bf16": "bf16", "dotprod": "asimddp", "fp-armv8": "fp", "fullfp16": "asimdhp",
    "i8mm": "i8mm", "lse": "atomics", "neon": "asimd", "rdm": "asimdrdm", "sha2": "sha2", "sve": "sve",
    "sve2": "sve2",
}  # fmt: skip


def known_features(machine: str = "") -> dict[str, str]:
    """LLVM feature name -> ``/proc/cpuinfo`` flag, for ``platform.machine()``'s name of an architecture."""
    machine = (machine or platform.machine()).lower()
    if machine in ("aarch64", "arm64"):
        return dict(_AARCH64)
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
