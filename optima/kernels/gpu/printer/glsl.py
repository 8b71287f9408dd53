"""GLSL for Vulkan: the language of glslang, which keeps IEEE's arithmetic as it is written."""

from __future__ import annotations

from collections.abc import Mapping

from optima.kernels.gpu.printer import functions
from optima.kernels.gpu.printer.dialect import Dialect, Kernel

_TYPES = {
    "bool": "bool", "float32": "float", "float16": "float16_t", "int8": "int8_t", "int16": "int16_t", "int32": "int",
    "int64": "int64_t", "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint", "uint64": "uint64_t",
}  # fmt: skip
_SAME_BITS = {
    ("float32", "int32"): "intBitsToFloat", ("float32", "uint32"): "uintBitsToFloat",
    ("int32", "float32"): "floatBitsToInt", ("uint32", "float32"): "floatBitsToUint",
    ("float16", "int16"): "int16BitsToHalf", ("float16", "uint16"): "uint16BitsToHalf",
    ("int16", "float16"): "halfBitsToInt16", ("uint16", "float16"): "halfBitsToUint16",
}  # fmt: skip
_NARROW = {"8bit_storage": ("int8", "uint8"), "16bit_storage": ("int16", "uint16", "float16")}
_NATIVE = {
    "sqrtf": "sqrt", "fabsf": "abs", "floorf": "floor", "ceilf": "ceil", "truncf": "trunc", "nearbyintf": "roundEven",
}  # fmt: skip
_VOCABULARY = """\
#define BITS floatBitsToUint
#define FLOAT uintBitsToFloat
#define INT int
#define UINT uint
#define REAL float
#define ABS abs
"""


class Glsl(Dialect):
    """Prints for glslang's Vulkan mode. float64 needs functions that Vulkan does not have."""

    form = "SPIR-V"
    types = _TYPES
    native = _NATIVE
    written = functions.TEXTS
    multiply_add: Mapping[str, str] = {"float32": "fma"}  # which Vulkan need not fuse
    barrier = "barrier();"

    def cast(self, dtype: str, value: str) -> str:
        """See ``Dialect``."""
        return f"{self.type_name(dtype)}({value})"

    def bits(self, dtype: str, value: str, source: str) -> str:
        """See ``Dialect``."""
        if "float" not in dtype + source:
            return self.cast(dtype, value)
        return f"{_SAME_BITS[dtype, source]}({value})"

    def entry_point(self, name: str) -> str:
        """See ``Dialect``: a shader's is called main."""
        return "main"

    def index(self, what: str, axis: int) -> str:
        """See ``Dialect``."""
        return f"int({'gl_WorkGroupID' if what == 'block' else 'gl_LocalInvocationID'}.{'xyz'[axis]})"

    def hidden_zero(self) -> str:
        """See ``Dialect``: no dispatch has 2**31 workgroups."""
        return "(gl_WorkGroupID.z >> 31)"

    def text(self, kernel: Kernel) -> str:
        """See ``Dialect``."""
        x, y, z = kernel.threads
        buffers = "".join(
            f"layout(std430, set = 0, binding = {i}) {'' if a.written else 'readonly '}buffer Buffer{i} "
            f"{{ {_TYPES[a.dtype]} {a.name}[]; }};\n"
            for i, a in enumerate(kernel.arguments)
        )
        written = _VOCABULARY + kernel.functions if kernel.functions else ""
        shared = "".join(f"shared {_TYPES[s.dtype]} {s.name}[{s.length}];\n" for s in kernel.shared)
        return (
            f"#version 450\n{_extensions(kernel.dtypes)}"
            f"layout(local_size_x = {x}, local_size_y = {y}, local_size_z = {z}) in;\n"
            f"{buffers}{shared}{written}void {kernel.entry_point}()\n{{\n{kernel.body}}}\n"
        )


def _extensions(dtypes: frozenset[str]) -> str:
    needed = [f"GL_EXT_shader_{name}" for name, narrow in _NARROW.items() if dtypes & set(narrow)]
    if dtypes - {"bool", "float32", "int32", "uint32"}:
        needed.append("GL_EXT_shader_explicit_arithmetic_types")
    return "".join(f"#extension {name} : require\n" for name in needed)
