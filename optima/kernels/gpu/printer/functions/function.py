"""What a function of the library is, and the two numbers that have no literal."""

from __future__ import annotations

from dataclasses import dataclass

NAN, INF = "FLOAT(0x7fc00000u)", "FLOAT(0x7f800000u)"


@dataclass(frozen=True)
class Function:
    """A function's text, and the other functions of the library that it calls."""

    text: str
    calls: tuple[str, ...] = ()
