"""What an ELF object or shared object asks of others, read without a tool of its architecture."""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: ELF e_machine -> a triple's first word (System V ABI, "ELF Header", and the processor supplements)
MACHINES = {3: "i686", 40: "armv7a", 62: "x86_64", 183: "aarch64"}
_SYMTAB, _DYNSYM = 2, 11


def machine_of(data: bytes) -> str:
    """The architecture of an ELF file by a triple's first word, "" for any that no kind of CPU stands for."""
    (number,) = struct.unpack_from("<H", data, 18)
    return MACHINES.get(number, "") if data[:4] == b"\x7fELF" else ""


def imports_of(data: bytes) -> tuple[str, ...]:
    """The names that a little-endian ELF file uses and does not define, sorted."""
    sections = [*_sections(data)]
    kinds = [kind for kind, *_ in sections]
    wanted = _DYNSYM if _DYNSYM in kinds else _SYMTAB
    names: set[str] = set()
    for kind, offset, size, link in sections:
        if kind == wanted:
            names |= set(_undefined(data, offset, size, sections[link][1]))
    return tuple(sorted(names - {""}))


def _wide(data: bytes) -> bool:
    return data[4] == 2


def _sections(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, size, link) of each section."""
    start = struct.unpack_from("<Q", data, 40)[0] if _wide(data) else struct.unpack_from("<I", data, 32)[0]
    each, count = struct.unpack_from("<HH", data, 58 if _wide(data) else 46)
    for at in range(start, start + each * count, each):
        if _wide(data):
            _, kind, _, _, offset, size, link = struct.unpack_from("<IIQQQQI", data, at)
        else:
            _, kind, _, _, offset, size, link = struct.unpack_from("<IIIIIII", data, at)
        yield kind, offset, size, link


def _undefined(data: bytes, offset: int, size: int, strings: int) -> Iterator[str]:
    each = 24 if _wide(data) else 16
    for at in range(offset, offset + size, each):
        (name,) = struct.unpack_from("<I", data, at)
        (section,) = struct.unpack_from("<H", data, at + (6 if _wide(data) else 14))
        if section == 0:
            end = data.index(b"\0", strings + name)
            yield data[strings + name : end].decode()
