"""The compilers of the flavour "kernel": the clang in ziglang's wheel, else Debian's clang with llvm-spirv."""

from __future__ import annotations

import sys

from optima.backends.spirv.compiler import MODULE, Compiler, Step
from optima.backends.spirv.tools import llvm_pair
from optima.tools import python_package

WHEEL = "ziglang"
_SOURCE, _BITCODE = "kernel.cl", "kernel.bc"
#: the kernels declare what they use; integers wrap; nothing is fused; a function called expf is no library's
_LANGUAGE = (
    "-x", "cl", "-cl-std=CL1.2", "-cl-no-stdinc", "-fno-builtin", "-fwrapv", "-ffp-contract=off", "-Wno-everything",
)  # fmt: skip
#: LLVM's optimiser makes integers of other widths than the text has (``i & 3`` in a loop becomes a count in 2 bits),
#: and its SPIR-V backend takes the next wider type for them (2 bits: 8) without cutting off what is carried
_UNOPTIMISED = ("-Xclang", "-disable-llvm-passes", "-mllvm", "-disable-lsr")


def of_wheel() -> Compiler | None:
    """ziglang's clang, its optimiser left out; at -O0 it would also forbid the driver to inline."""
    package = python_package(WHEEL, "", "")
    if not package.found:
        return None
    run = (sys.executable, "-m", WHEEL, "clang", *_LANGUAGE, "-target", "spirv64v1.2")

    def steps(level: str) -> tuple[Step, ...]:
        return (Step("ziglang's clang", (*run, level, *_UNOPTIMISED, "-c", _SOURCE, "-o", MODULE), MODULE),)

    return Compiler(WHEEL, ((WHEEL, package.version),), _SOURCE, ("-O1", "-O0"), steps)


def of_system() -> Compiler | None:
    """Debian's clang and llvm-spirv of one version. llvm-spirv 15 cannot translate what clang optimised."""
    clang, translator = llvm_pair()
    if not (clang.found and translator.found):
        return None
    compiling = Step(
        clang.name,
        (clang.path, *_LANGUAGE, "-target", "spir64", "-O0", "-emit-llvm", "-c", _SOURCE, "-o", _BITCODE),
        _BITCODE,
    )
    options = ("--spirv-max-version=1.2", "--spirv-fp-contract=off")
    translating = Step(translator.name, (translator.path, *options, _BITCODE, "-o", MODULE), MODULE)
    versions = ((clang.name, clang.version), (translator.name, translator.version))
    return Compiler(clang.name, versions, _SOURCE, ("-O0",), lambda _: (compiling, translating))
