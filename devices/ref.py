"""``DeviceRef``: one instance of a kind of device, written ``X64:0``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from devices.errors import UserError
from devices.kind import DeviceEnum


class MalformedDevice(UserError):
    """A device that is not ``KIND:index``.

    >>> DeviceRef.parse("X64")
    Traceback (most recent call last):
    ...
    devices.ref.MalformedDevice: 'X64' is not a device: the index is missing
    hint: write KIND:index, for example "X64:0"
    """


@dataclass(frozen=True, order=False)
class DeviceRef:
    """The ``index``-th device of a ``kind``. ``str(ref)`` is the form used in a map."""

    kind: DeviceEnum
    index: int

    @classmethod
    def parse(cls, text: object) -> DeviceRef:
        """``"X64:0"`` -> ``DeviceRef(DEVICE_KIND_X64, 0)``. Raises MalformedDevice, saying what to write."""
        example = 'write KIND:index, for example "X64:0"'
        if not isinstance(text, str):
            raise MalformedDevice(f"{text!r} is not a device: a device is text", hint=example)
        kind_text, colon, index_text = text.partition(":")
        try:
            kind = DeviceEnum(kind_text)
        except ValueError:
            kinds = [k.value for k in DeviceEnum]
            near = difflib.get_close_matches(kind_text.upper(), kinds, n=1)
            raise MalformedDevice(
                f"{text!r} is not a device: there is no kind {kind_text!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"the kinds are {', '.join(kinds)}",
            ) from None
        if not colon:
            raise MalformedDevice(f"{text!r} is not a device: the index is missing", hint=example)
        if not re.fullmatch(r"0|[1-9][0-9]{0,5}", index_text):
            raise MalformedDevice(
                f"{text!r} is not a device: {index_text!r} is not an index from 0 to 999999", hint=example
            )
        return cls(kind, int(index_text))

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.index}"
