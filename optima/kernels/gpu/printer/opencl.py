"""OpenCL C for clang's SPIR-V target. Its headers are not at hand, so each text declares what it uses."""

from __future__ import annotations

from optima.kernels.gpu.printer.dialect import Kernel

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


class OpenCl:
    """Prints for OpenCL C 1.2, the version without generic pointers."""

    entry_point = "launch"  # a kernel may not be called main
    barrier = "barrier(1);"

    def type_name(self, dtype: str) -> str:
        """See ``Dialect``."""
        return _TYPES[dtype]

    def cast(self, dtype: str, value: str) -> str:
        """See ``Dialect``."""
        return f"(({_TYPES[dtype]})({value}))"

    def bits(self, dtype: str, value: str, source: str) -> str:
        """See ``Dialect``."""
        return f"__builtin_astype(({value}), {_TYPES[dtype]})"

    def integer(self, value: int, dtype: str) -> str:
        """See ``Dialect``."""
        if dtype == "int32":
            return str(value) if value >= 0 else f"({value})" if value > -(2**31) else "((int)0x80000000u)"
        if dtype == "uint32":
            return f"{value}u"
        if dtype in ("int64", "uint64"):
            return f"(({_TYPES[dtype]})0x{value % 2**64:x}ul)"
        return f"(({_TYPES[dtype]})({value}))"

    def local(self, dtype: str) -> str:
        """See ``Dialect``."""
        return _TYPES[dtype]

    def index(self, what: str, axis: int) -> str:
        """See ``Dialect``."""
        return f"(int)get_{'group' if what == 'block' else 'local'}_id({axis})"

    def native(self, name: str) -> str:
        """See ``Dialect``."""
        return _NATIVE[name]

    def multiply_add(self, a: str, b: str, c: str) -> str:
        """See ``Dialect``: ``fma`` would be emulated where the device has none."""
        return f"mad({a}, {b}, {c})"

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
        functions = _VOCABULARY + kernel.functions if kernel.functions else ""
        return (
            f"{half}{_DECLARATIONS}{functions}"
            f"kernel __attribute__((reqd_work_group_size({x}, {y}, {z})))\n"
            f"void {self.entry_point}({arguments})\n{{\n{shared}{kernel.body}}}\n"
        )
