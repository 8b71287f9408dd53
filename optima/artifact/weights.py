"""``weights.safetensors``: one store for the constants of all kernel backends, keyed by content.

The format is safetensors': 8 bytes of little-endian header length, a JSON header, the data without holes. Optima
adds that every entry starts at a multiple of 64 bytes of the *file*: the header is padded with spaces and the gaps
are entries of their own (``pad.<n>``, U8). Who maps the file can then hand each entry to a kernel that loads whole
AVX-512 registers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from devices import InternalError, Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import WEIGHTS
from optima.backends.base import Constant
from optima.graph import numpy_dtype

#: bytes; a cache line, and one AVX-512 register
ALIGNMENT = 64
#: the header limit of safetensors' own reader, bytes
MAX_HEADER = 100_000_000
_PAD = "pad."
_METADATA = "__metadata__"

_FORMAT_NAME = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_DTYPE = {name: dtype for dtype, name in _FORMAT_NAME.items()}

Array = np.ndarray[Any, Any]


def pack_weights(constants: Iterable[Constant]) -> bytes:
    """The file that holds ``constants``, each distinct one once, in order of their keys: its bytes depend on
    the set alone. Raises InternalError for a constant whose array is not of the dtype that it states."""
    entries = {c.key: c for c in constants}
    header: dict[str, Any] = {_METADATA: {"alignment": str(ALIGNMENT), "producer": "optima"}}
    chunks: list[bytes | memoryview] = []
    end = 0
    for key in sorted(entries):
        constant = entries[key]
        start = _up(end)
        if start > end:
            header[f"{_PAD}{end}"] = {"dtype": "U8", "shape": [start - end], "data_offsets": [end, start]}
            chunks.append(bytes(start - end))
        end = start + constant.array.nbytes
        header[key] = {
            "dtype": _format_name(constant),
            "shape": list(constant.array.shape),
            "data_offsets": [start, end],
        }
        chunks.append(_little_endian(constant.array))
    text = json.dumps(header, separators=(",", ":")).encode()
    length = _up(8 + len(text)) - 8
    return b"".join([length.to_bytes(8, "little"), text.ljust(length), *chunks])


def _format_name(constant: Constant) -> str:
    if constant.dtype not in _FORMAT_NAME:
        raise InternalError(f"constant {constant.name!r}: {WEIGHTS} cannot hold {constant.dtype}")
    if constant.array.dtype != numpy_dtype(constant.dtype):
        raise InternalError(
            f"constant {constant.name!r} says {constant.dtype} and holds {constant.array.dtype}"
        )
    return _FORMAT_NAME[constant.dtype]


def _little_endian(array: Array) -> memoryview:
    """The dense bytes of an array, row-major; the file is little-endian whatever the machine."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def _up(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def aligned_empty(size: int) -> Array:
    """A fresh uint8 buffer of ``size`` bytes whose address is a multiple of 64."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    shift = -raw.ctypes.data % ALIGNMENT
    return raw[shift : shift + size]


def parse_weights(buffer: Array) -> dict[str, Array]:
    """Key -> read-only view into ``buffer``, the whole file as aligned uint8 (bfloat16 as uint16 bits).

    No header can make it read outside the buffer, allocate by a declared size, or return a view that is not
    64-byte aligned: such a file is an ArtifactError that lists every entry at fault.
    """
    header, begin = _header(buffer)
    views: dict[str, Array] = {}
    problems: list[Problem] = []
    spans: list[tuple[int, int, str]] = []
    for key, entry in header.items():
        if key == _METADATA:
            continue
        reason = _why_not_an_entry(entry, buffer.size - begin)
        if not reason:
            first, last = entry["data_offsets"]
            spans.append((first, last, key))
            if key.startswith(_PAD):
                continue
            if (begin + first) % ALIGNMENT:
                reason = f"starts at byte {begin + first}, which is no multiple of {ALIGNMENT}"
            else:
                views[key] = _view(buffer[begin + first : begin + last], entry)
        if reason:
            problems.append(Problem(key[:80], reason))
    problems += _holes(spans, buffer.size - begin) if not problems else []
    if problems:
        raise ArtifactError(f"{WEIGHTS} is not one that Optima wrote", problems=problems, hint=COMPILE_AGAIN)
    return views




def _header(buffer: Array) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(buffer[:8].tobytes(), "little") if buffer.size >= 8 else -1
    if not 2 <= length <= min(MAX_HEADER, buffer.size - 8):
        raise ArtifactError("the weights file is cut off or not a safetensors file", hint=COMPILE_AGAIN)
    try:
        header = json.loads(buffer[8 : 8 + length].tobytes().decode())
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ArtifactError("the weights file has a header that is no JSON object", hint=COMPILE_AGAIN)
    return header, 8 + length


def _why_not_an_entry(entry: Any, size: int) -> str:
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return "has other keys than dtype, shape and data_offsets"
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPE:
        return "has a dtype that Optima does not write"
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 32:
        return "has a shape or offsets that are not lists of counts"
    first, last = offsets
    if not first <= last <= size:
        return "lies outside the file"
    itemsize = numpy_dtype(_DTYPE[entry["dtype"]]).itemsize
    # numpy cannot express a zero-size shape whose other extents overflow an address
    addressable = math.prod(max(extent, 1) for extent in shape) * itemsize < 2**63
    if math.prod(shape) * itemsize != last - first or not addressable:
        return f"has {last - first} bytes, and its shape and dtype say otherwise"
    return ""


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def _holes(spans: list[tuple[int, int, str]], size: int) -> list[Problem]:
    end = 0
    for first, last, key in sorted(spans):
        if first != end:
            return [Problem(key, f"starts at byte {first} of the data where the one before ends at {end}")]
        end = last
    return [] if end == size else [Problem("end", f"{size - end} bytes after the last entry")]


def _view(part: Array, entry: Mapping[str, Any]) -> Array:
    stored = numpy_dtype(_DTYPE[entry["dtype"]])
    view = part.view(stored).reshape(entry["shape"])
    view.flags.writeable = False  # every request shares it
    return view
