"""What each entry of a map says: its devices, and what is malformed about it. It knows no graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from devices import DeviceEnum, DeviceRef, MalformedDevice, Problem
from optima.allocation.read import JsonObject


@dataclass(frozen=True)
class Entry:
    """One value of the map. ``devices`` are those that can be read, each once, in order of preference.

    ``meant`` has for a malformed one the device that it was most likely meant to be (used for the patch
    only), and ``faults`` says what is wrong with the value.
    """

    devices: tuple[DeviceRef, ...]
    meant: tuple[DeviceRef, ...]
    faults: tuple[str, ...]


def read_entry(value: object) -> Entry:
    """Read a device or a list of devices. Every fault is in the result; nothing is raised."""
    if not isinstance(value, str | list | tuple):
        kind = "an object" if isinstance(value, JsonObject | dict) else repr(value)[:60]
        return Entry((), (), (f"{kind} is neither a device nor a list of devices",))
    if isinstance(value, list | tuple) and not value:
        return Entry((), (), ("the list of devices is empty",))
    devices: dict[DeviceRef, None] = {}
    meant: dict[DeviceRef, None] = {}
    faults: list[str] = []
    for item in [value] if isinstance(value, str) else value:
        ref, fault = _read_device(item) if isinstance(item, str) else _not_text(item)
        if ref is not None and not fault:
            if ref in devices:
                faults.append(f"{ref} is in the list twice")
            devices[ref] = None
        if fault:
            faults.append(fault)
        if ref is not None:
            meant[ref] = None
    return Entry(tuple(devices), tuple(meant), tuple(faults))


@cache
def _read_device(text: str) -> tuple[DeviceRef | None, str]:
    """The device, or what was most likely meant and the fault."""
    try:
        return DeviceRef.parse(text), ""
    except MalformedDevice as error:
        return DeviceRef.nearest(text), f"{error.message}; {error.hint}"


def _not_text(item: object) -> tuple[DeviceRef | None, str]:
    shown = "an object" if isinstance(item, JsonObject | dict) else repr(item)[:60]
    return None, f"{shown} in the list is not a device: a device is text"


def read_device_info(device_info: object) -> tuple[tuple[DeviceEnum, ...], tuple[Problem, ...]]:
    """The kinds that the map may use, in order, and what in ``device_info`` is no ``DeviceEnum``.

    An item whose meaning is plain (``"X64"``, ``"X64:0"``, a ``DeviceRef``) counts as allowed beside being
    a fault, so that it does not drag every op that uses it into the error.
    """
    if isinstance(device_info, DeviceEnum | str | DeviceRef) or not isinstance(device_info, Iterable):
        items: Sequence[object] = [device_info]
        problems = [Problem("device_info", f"{device_info!r} is not a list")]
    else:
        items, problems = list(device_info), []
    kinds: dict[DeviceEnum, None] = {}
    for item in items:
        if isinstance(item, DeviceEnum):
            kinds[item] = None
            continue
        near = item if isinstance(item, DeviceRef) else DeviceRef.nearest(item)
        mend = f": write DeviceEnum.{near.kind.name}" if near else ""
        problems.append(Problem(f"{item!r}"[:60], f"is not a DeviceEnum{mend}"))
        if near:
            kinds[near.kind] = None
    return tuple(kinds), tuple(problems)
