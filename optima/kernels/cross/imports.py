"""The names that a kernel may ask of the machine it runs on; the linker's answer to any other is a refusal."""

from __future__ import annotations

#: what the host of a kernel provides (docs/kernel_abi.md)
HOST = frozenset({"TVMFFIErrorSetRaisedFromCStrParts"})

_MATHS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos", "cosh", "erf",
    "erfc", "exp", "exp2", "expm1", "fabs", "fdim", "floor", "fma", "fmax", "fmin", "fmod", "frexp", "hypot", "ldexp",
    "lgamma", "llrint", "llround", "log", "log10", "log1p", "log2", "logb", "lrint", "lround", "modf", "nearbyint",
    "nextafter", "pow", "remainder", "rint", "round", "roundeven", "scalbn", "sin", "sinh", "sqrt", "tan", "tanh",
    "tgamma", "trunc",
)  # fmt: skip

#: glibc's name of a library -> what kernels call in it
LIBRARIES = {
    "libc.so.6": frozenset({"memcpy", "memmove", "memset"}),
    "libm.so.6": frozenset(name + suffix for name in _MATHS for suffix in ("", "f")),
}

#: what ``builtins.c`` defines
BUILTINS = frozenset(
    {
        "__divdi3", "__fixdfdi", "__fixsfdi", "__fixunsdfdi", "__fixunssfdi", "__floatdidf", "__floatdisf",
        "__floatundidf", "__floatundisf", "__gnu_f2h_ieee", "__gnu_h2f_ieee", "__moddi3", "__udivdi3", "__umoddi3",
    }
)  # fmt: skip
