"""Reading a map file: JSON with nothing lost, so that duplicate keys can be refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devices import Problem
from optima.allocation.error import AllocationError

_FORM = 'a map looks like {"conv2d_2": "X64:0", "add_5": "X64:1"}'
_TEMPLATE = (
    'Torch2GraphConverter.get_onedevice_allocator(json_path, "X64", gpickle_path) writes a map to start from'
)


@dataclass(frozen=True)
class JsonObject:
    """A JSON object with its pairs in file order, duplicates included."""

    pairs: tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class RawMap:
    """A map as it stands in its file: ``entries`` in file order, duplicates included, values unchecked.

    ``source`` is the file's name for messages, ``lines`` the line numbers of keys that occur more than once.
    """

    entries: tuple[tuple[str, object], ...]
    source: str = "the map"
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_map(path: str | Path) -> RawMap:
    """Read a map file: one JSON object in UTF-8. What its entries say is checked by ``allocate``.

    Raises AllocationError for a file that cannot be opened, is not UTF-8, not JSON (with line and column),
    nested too deeply, or not an object.
    """
    source = Path(path).name or str(path)
    text = _text_of(path)
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: JsonObject(tuple(pairs)))
    except json.JSONDecodeError as error:
        lines = text.split("\n")
        line = lines[error.lineno - 1].strip()[:100] if error.lineno <= len(lines) else ""
        where = f"line {error.lineno}, column {error.colno}"
        reason = "the file is empty" if not text.strip() else error.msg
        raise AllocationError(
            f"{source} is not JSON: {reason} ({where})",
            problems=[Problem(where, reason, code=line)],
            hint=_FORM,
        ) from None
    except RecursionError:
        raise AllocationError(f"{source} is not a map: its JSON is nested too deeply", hint=_FORM) from None
    except ValueError as error:  # a number of thousands of digits
        raise AllocationError(f"{source} is not JSON that can be read: {error}", hint=_FORM) from None
    if not isinstance(value, JsonObject):
        raise AllocationError(f"{source} is not a map: it must hold one JSON object", hint=_FORM)
    return RawMap(value.pairs, source, _lines_of_duplicates(text, value))


def _text_of(path: str | Path) -> str:
    try:
        data = Path(path).expanduser().read_bytes()
    except FileNotFoundError:
        raise AllocationError(f"there is no map at {str(path)!r}", hint=_TEMPLATE) from None
    except IsADirectoryError:
        raise AllocationError(f"{str(path)!r} is a folder, not a map", hint="name the JSON file") from None
    except (OSError, ValueError, RuntimeError) as error:  # unreadable, a NUL in the path, no such home folder
        raise AllocationError(f"the map {str(path)!r} cannot be read: {error}", hint=_TEMPLATE) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AllocationError(
            f"{Path(path).name} is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}",
            hint="save the file as UTF-8",
        ) from None


def _lines_of_duplicates(text: str, value: JsonObject) -> dict[str, tuple[int, ...]]:
    """Line numbers of keys that occur more than once, where the text spells them plainly."""
    times: dict[str, int] = {}
    for key, _ in value.pairs:
        times[key] = times.get(key, 0) + 1
    found: dict[str, tuple[int, ...]] = {}
    for key, number in times.items():
        if number == 1 or len(found) == 100:  # each search reads the whole text
            continue
        spelt = re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:"
        lines = tuple(text.count("\n", 0, m.start()) + 1 for m in re.finditer(spelt, text))
        if len(lines) == number:
            found[key] = lines
    return found
