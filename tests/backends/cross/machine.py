"""Skips what needs an emulated CPU that is not here."""

from __future__ import annotations

import pytest

from conformance.qemu import MACHINES
from devices import DeviceEnum


def need(kind: DeviceEnum) -> None:
    """The test goes on only where qemu, its system's libraries and ziglang are installed."""
    reason = MACHINES[kind].missing()
    if reason:
        pytest.skip(reason)
