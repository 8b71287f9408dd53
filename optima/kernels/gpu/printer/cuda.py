"""CUDA C++ that needs no header: what NVRTC and nvcc take, and, behind ``simulator.h``, a C++ compiler for the CPU.

The half-width floats are structures of 16 bits that turn into float32 by themselves and round when they are made.
"""

from __future__ import annotations

from collections.abc import Mapping

from optima.kernels.gpu.printer.dialect import NARROW_INTEGERS, Dialect, Kernel
from optima.kernels.gpu.printer.functions.function import Function

_TYPES = {
    "bool": "bool", "float64": "double", "float32": "float", "float16": "float16", "bfloat16": "bfloat16",
    "int8": "i8", "int16": "i16", "int32": "int", "int64": "i64",
    "uint8": "u8", "uint16": "u16", "uint32": "uint", "uint64": "u64",
}  # fmt: skip
#: (to, from) -> NVIDIA's function that keeps the bits
_SAME_BITS = {
    ("float32", "int32"): "__int_as_float", ("float32", "uint32"): "__uint_as_float",
    ("int32", "float32"): "__float_as_int", ("uint32", "float32"): "__float_as_uint",
    ("float64", "int64"): "__longlong_as_double", ("float64", "uint64"): "__longlong_as_double",
    ("int64", "float64"): "__double_as_longlong", ("uint64", "float64"): "__double_as_longlong",
}  # fmt: skip
_HALVES = ("float16", "bfloat16")

#: C's functions that CUDA has under the same names for float64, and with an f for float32. Their largest errors are in
#: the CUDA programming guide's appendix on mathematical functions: 0 to 2 ulp for most, 6 for lgamma outside of its
#: poles, over the whole range (no ``--use_fast_math``).
_FUNCTIONS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2",
    "expm1", "fabs", "floor", "fma", "fmod", "hypot", "lgamma", "log", "log10", "log1p", "log2", "nearbyint", "pow",
    "round", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip

_PREAMBLE = """#ifndef OPTIMA_TYPES
#define OPTIMA_TYPES
typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef unsigned int uint;
typedef long long i64;
typedef unsigned long long u64;
#ifdef __CUDACC__
__device__ inline u16 half_bits(float x) { u16 bits; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); return bits; }
__device__ inline float half_value(u16 bits) { float x; asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits)); return x; }
#endif
struct float16 {
  u16 bits;
  float16() = default;
  __device__ float16(float x) : bits(half_bits(x)) {}
  __device__ operator float() const { return half_value(bits); }
  __device__ static float16 of_bits(u16 bits) { float16 x; x.bits = bits; return x; }
};
struct bfloat16 {
  u16 bits;
  bfloat16() = default;
  __device__ bfloat16(float x) {
    uint b = __float_as_uint(x);
    bits = (b & 0x7fffffffu) > 0x7f800000u ? u16(0x7fc0) : u16((b + 0x7fffu + (b >> 16 & 1u)) >> 16);
  }
  __device__ operator float() const { return __uint_as_float(uint(bits) << 16); }
  __device__ static bfloat16 of_bits(u16 bits) { bfloat16 x; x.bits = bits; return x; }
};
#endif
"""


class Cuda(Dialect):
    """Prints a kernel as an ``extern "C"`` function of pointers, one for each argument."""

    form = "CUDA"
    types = _TYPES
    widened = NARROW_INTEGERS | frozenset(_HALVES)
    native = {name: name for stem in _FUNCTIONS for name in (stem, f"{stem}f")} | {"is_nan": "isnan"}
    written: Mapping[str, Function] = {}
    wide_suffix = "ull"
    multiply_add: Mapping[str, str] = {"float32": "fmaf", "float64": "fma"}
    barrier = "__syncthreads();"

    def cast(self, dtype: str, value: str) -> str:
        """See ``Dialect``."""
        return f"{self.type_name(dtype)}({value})"

    def bits(self, dtype: str, value: str, source: str) -> str:
        """See ``Dialect``."""
        if source in _HALVES:
            return self.cast(dtype, f"({value}).bits")
        if dtype in _HALVES:
            return f"{_TYPES[dtype]}::of_bits({value})"
        if "float" not in dtype + source:
            return self.cast(dtype, value)
        return f"{_SAME_BITS[dtype, source]}({value})"

    def index(self, what: str, axis: int) -> str:
        """See ``Dialect``."""
        return f"int({what}Idx.{'xyz'[axis]})"

    def hidden_zero(self) -> str:
        """See ``Dialect``: NVIDIA's compilers keep IEEE's products with 0."""
        return "0u"

    def text(self, kernel: Kernel) -> str:
        """See ``Dialect``. The memory plan gives each argument memory of its own: ``__restrict__``."""
        x, y, z = kernel.threads
        arguments = ", ".join(
            f"{'' if a.written else 'const '}{_TYPES[a.dtype]}* __restrict__ {a.name}" for a in kernel.arguments
        )
        shared = "".join(f"  __shared__ {_TYPES[s.dtype]} {s.name}[{s.length}];\n" for s in kernel.shared)
        return (
            f'{_PREAMBLE}extern "C" __global__ void __launch_bounds__({x * y * z}) {kernel.entry_point}({arguments})\n'
            f"{{\n{shared}{kernel.body}}}\n"
        )


#: the one that serves all: refusals are remembered by dialect
CUDA = Cuda()
