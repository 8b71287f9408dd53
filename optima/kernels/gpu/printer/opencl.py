"""OpenCL C for clang's SPIR-V target. Its headers are not at hand, so each text declares what it uses."""

from __future__ import annotations

from collections.abc import Mapping

from optima.kernels.gpu.printer import functions
from optima.kernels.gpu.printer.dialect import Dialect, Kernel

_TYPES = {
    "bool": "bool", "float32": "float", "float16": "half", "int8": "char", "int16": "short", "int32": "int",
    "int64": "long", "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
}  # fmt: skip
_NATIVE = {
    "sqrtf": "sqrt", "fabsf": "fabs", "floorf": "floor", "ceilf": "ceil", "truncf": "trunc", "nearbyintf": "rint",
}  # fmt: skip
#: signatures from the OpenCL C 1.2 specification, sections 6.12.1, 6.12.2 and 6.12.8; a fence of 1 is that of local
#: memory. ``overloadable`` gives the names that SPIR-V's built-ins are known by.
_DECLARATIONS = """\
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
#define PURE __attribute__((overloadable, const))
ulong PURE get_group_id(uint axis);
ulong PURE get_local_id(uint axis);
void __attribute__((overloadable, convergent)) barrier(uint fence);
float PURE sqrt(float x);
float PURE fabs(float x);
float PURE floor(float x);
float PURE ceil(float x);
float PURE trunc(float x);
float PURE rint(float x);
float PURE mad(float a, float b, float c);
#pragma OPENCL FP_CONTRACT OFF
"""
_HALF = "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
_VOCABULARY = """\
#define BITS(x) __builtin_astype((x), uint)
#define FLOAT(x) __builtin_astype((x), float)
#define INT(x) ((int)(x))
#define UINT(x) ((uint)(x))
#define REAL(x) ((float)(x))
#define ABS fabs
"""


class OpenCl(Dialect):
    """Prints for OpenCL C 1.2, the version without generic pointers."""

    form = "SPIR-V"
    types = _TYPES
    native = _NATIVE
    written = functions.TEXTS
    multiply_add: Mapping[str, str] = {"float32": "mad"}  # fma would be emulated where the device has none
    barrier = "barrier(1);"

    def cast(self, dtype: str, value: str) -> str:
        """See ``Dialect``."""
        return f"(({self.type_name(dtype)})({value}))"

    def bits(self, dtype: str, value: str, source: str) -> str:
        """See ``Dialect``."""
        return f"__builtin_astype(({value}), {_TYPES[dtype]})"

    def entry_point(self, name: str) -> str:
        """See ``Dialect``: a kernel may not be called main."""
        return "launch"

    def index(self, what: str, axis: int) -> str:
        """See ``Dialect``."""
        return f"(int)get_{'group' if what == 'block' else 'local'}_id({axis})"

    def hidden_zero(self) -> str:
        """See ``Dialect``: no launch has 2**31 workgroups."""
        return "((uint)(get_group_id(2) >> 31))"

    def text(self, kernel: Kernel) -> str:
        """See ``Dialect``."""
        x, y, z = kernel.threads
        arguments = ", ".join(
            f"global {'' if a.written else 'const '}{_TYPES[a.dtype]}* {a.name}" for a in kernel.arguments
        )
        shared = "".join(f"  local {_TYPES[s.dtype]} {s.name}[{s.length}];\n" for s in kernel.shared)
        half = _HALF if "float16" in kernel.dtypes else ""
        written = _VOCABULARY + kernel.functions if kernel.functions else ""
        return (
            f"{half}{_DECLARATIONS}{written}"
            f"kernel __attribute__((reqd_work_group_size({x}, {y}, {z})))\n"
            f"void {kernel.entry_point}({arguments})\n{{\n{shared}{kernel.body}}}\n"
        )
