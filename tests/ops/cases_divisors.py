"""Cases of greatest common divisors and least common multiples: broadcasting, zeros, signs, narrow integers, 0-d."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _cases(name: str) -> list[OpCase]:
    return [
        OpCase(name, (Arg("self", (7, 9), "int64", high=1000), Arg("other", (9,), "int64", high=1000))),
        OpCase(name, (Arg("self", (40,), "int32", high=3), Arg("other", (40,), "int64", high=3))),
        OpCase(name, (Arg("self", (40,), "int8", high=120), Arg("other", (40,), "int8", high=120))),
        OpCase(name, (Arg("self", (40,), "uint8", high=250), Arg("other", (1,), "uint8", high=250))),
        OpCase(name, (Arg("self", (), "int64"), Arg("other", (), "int64"))),
        OpCase(name, (Arg("self", (0, 3), "int64"), Arg("other", (3,), "int64"))),
    ]


CASES: tuple[OpCase, ...] = (*_cases("gcd"), *_cases("lcm"))

REFUSED: tuple[OpCase, ...] = (OpCase("gcd", (Arg("self", (3,), "bool"), Arg("other", (3,), "bool"))),)
