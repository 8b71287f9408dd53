"""``DeviceRef``: one instance of a kind of device, written ``X64:0``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from devices.errors import UserError
from devices.kind import DeviceEnum

_KINDS = {kind.value: kind for kind in DeviceEnum}
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


class MalformedDevice(UserError):
    """A device that is not ``KIND:index``.

    >>> DeviceRef.parse("X64")
    Traceback (most recent call last):
    ...
    devices.ref.MalformedDevice: 'X64' is not a device: the index is missing
    hint: did you mean "X64:0"?
    """


@dataclass(frozen=True)
class DeviceRef:
    """The ``index``-th device of a ``kind``. ``str(ref)`` is the form used in a map.

    >>> ref = DeviceRef.parse("HEXAGON:1")
    >>> ref.kind, ref.index, str(ref)
    (<DeviceEnum.DEVICE_KIND_HEXAGON: 'HEXAGON'>, 1, 'HEXAGON:1')
    """

    kind: DeviceEnum
    index: int

    @classmethod
    def parse(cls, text: object) -> DeviceRef:
        """``"X64:0"`` -> ``DeviceRef(DEVICE_KIND_X64, 0)``. Raises MalformedDevice, saying what to write."""
        kind_text, colon, index_text = text.partition(":") if isinstance(text, str) else ("", "", "")
        if kind_text in _KINDS and _INDEX.fullmatch(index_text):
            return cls(_KINDS[kind_text], int(index_text))
        shown = repr(text) if len(repr(text)) <= 60 else f"{repr(text)[:60]}..."
        near = cls.nearest(text)
        hint = f'did you mean "{near}"?' if near else 'write KIND:index, for example "X64:0"'
        if not isinstance(text, str):
            reason = "a device is text"
        elif kind_text not in _KINDS:
            reason = f"there is no kind {kind_text[:60]!r}"
            hint = hint if near else f"the kinds are {', '.join(_KINDS)}"
        elif not colon:
            reason = "the index is missing"
        else:
            reason = f"{index_text[:60]!r} is not an index from 0 to 999999"
        raise MalformedDevice(f"{shown} is not a device: {reason}", hint=hint)

    @classmethod
    def nearest(cls, text: object) -> DeviceRef | None:
        """The device that a malformed text was most likely meant to be, or None.

        >>> [str(DeviceRef.nearest(text)) for text in ("x64:0", "HEXAGN:01", "X64")]
        ['X64:0', 'HEXAGON:1', 'X64:0']
        >>> DeviceRef.nearest("banana:0") is None
        True
        """
        if not isinstance(text, str):
            return None
        kind_text, _, index_text = text.strip().upper().removeprefix("DEVICE_KIND_").partition(":")
        near = difflib.get_close_matches(kind_text.strip()[:32], _KINDS, n=1)
        number = re.fullmatch(r"\s*0*([0-9]{1,6})\s*", index_text[:32], re.ASCII)
        return cls(_KINDS[near[0]], int(number[1]) if number else 0) if near else None

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.index}"
