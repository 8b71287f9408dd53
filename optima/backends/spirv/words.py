"""SPIR-V as words: what is taken out and put in after the compiler, and what a module asks of a device.

The numbers are those of the SPIR-V specification 1.6, section 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from devices import UserError

_MAGIC = 0x07230203
_EXECUTION_MODE, _CAPABILITY, _DECORATE = 16, 17, 71
_KERNEL, _CONTRACTION_OFF = 6, 31
#: OpSourceContinued, OpSource, OpSourceExtension, OpName, OpMemberName, OpString, OpLine, OpNoLine, OpModuleProcessed
_DEBUG = frozenset((2, 3, 4, 5, 6, 7, 8, 317, 330))
#: OpTypeVoid: the first section behind the decorations begins with a type
_TYPES = range(19, 40)
#: OpFNegate, OpFAdd, OpFSub, OpFMul, OpFDiv, OpFRem, OpFMod: what a driver may contract or cancel
_FLOAT_ARITHMETIC = frozenset((127, 129, 131, 133, 136, 140, 141))
_NO_CONTRACTION = 42
#: UniformAndStorageBuffer{8,16}BitAccess -> StorageBuffer{8,16}BitAccess: kernels have storage buffers only
_NARROWER = {4449: 4448, 4434: 4433}
_NAMES = {
    1: "Shader", 4: "Addresses", 5: "Linkage", 6: "Kernel", 7: "Vector16", 8: "Float16Buffer", 9: "Float16",
    10: "Float64", 11: "Int64", 22: "Int16", 39: "Int8",
    4433: "StorageBuffer16BitAccess", 4448: "StorageBuffer8BitAccess",
}  # fmt: skip


class BadSpirv(UserError):
    """A module of SPIR-V that is broken, or that spirv-val refuses.

    Example: a ``.spv`` that was cut off. Fix: compile the model again; if the message names spirv-val, report it.
    """


def cleaned(module: bytes) -> bytes:
    """The module without debug instructions, its float arithmetic marked ``NoContraction``.

    Names of files and compilers leave with the debug instructions, and the language number that old validators do
    not know. Without the mark a driver may fuse, reassociate and cancel: ``(a + b) - b`` rounds on purpose. A module
    for OpenCL has no such mark; the compiler must have given its entry point the mode ``ContractionOff``.
    """
    head, instructions = _parsed(module)
    kept: list[Sequence[int]] = []
    marked = False
    is_kernel = any(words[0] & 0xFFFF == _CAPABILITY and words[1] == _KERNEL for words in instructions)
    if is_kernel and not any(
        words[0] & 0xFFFF == _EXECUTION_MODE and words[2] == _CONTRACTION_OFF for words in instructions
    ):
        raise BadSpirv("a kernel lets its arithmetic be contracted", hint="report it, with the compiler's version")
    arithmetic = [words[2] for words in instructions if words[0] & 0xFFFF in _FLOAT_ARITHMETIC and not is_kernel]
    for words in instructions:
        opcode = words[0] & 0xFFFF
        if opcode in _DEBUG:
            continue
        if opcode == _CAPABILITY:
            words = (words[0], _NARROWER.get(words[1], words[1]))
        if opcode in _TYPES and not marked:
            kept += [(3 << 16 | _DECORATE, result, _NO_CONTRACTION) for result in arithmetic]
            marked = True
        kept.append(words)
    flat = [*head, *(w for words in kept for w in words)]
    return struct.pack(f"<{len(flat)}I", *flat)


def capabilities(module: bytes) -> tuple[str, ...]:
    """The names of what a device must have, sorted; a number where the name is not known here."""
    _, instructions = _parsed(module)
    found = {words[1] for words in instructions if words[0] & 0xFFFF == _CAPABILITY}
    return tuple(sorted(_NAMES.get(number, f"capability {number}") for number in found))


def _parsed(module: bytes) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """(the five words of the header, the instructions). Raises BadSpirv."""
    if len(module) < 20 or len(module) % 4 or struct.unpack_from("<I", module)[0] != _MAGIC:
        raise BadSpirv("the compiler's output is not SPIR-V", hint="report it, with the kernel's text")
    words = struct.unpack(f"<{len(module) // 4}I", module)
    return words[:5], list(_instructions(words))


def _instructions(words: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    at = 5
    while at < len(words):
        count = words[at] >> 16
        if count == 0 or at + count > len(words):
            raise BadSpirv("a SPIR-V module is cut off", hint="compile the model again")
        yield words[at : at + count]
        at += count
