"""Cases of shifts and of what works on bits: widths and beyond, signs of zeros and NaN, denormals, half types."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def _x(shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal", high: int = 4) -> Arg:
    return Arg("self", shape, dtype, fill, high)


def _shift_cases(name: str) -> list[OpCase]:
    return [
        *(OpCase(name, (_x((40,), d, high=100), Arg("other", (40,), d, high=70))) for d in _INTEGERS),
        OpCase(name, (_x((3, 4), "int64", high=2**40),), {"other": 3}),
        OpCase(name, (_x((9,), "int32", high=50), Arg("other", (), "int64", "index"))),
        OpCase(name, (Arg("other", (9,), "int64", "index"),), {"self": -5}),
        OpCase(name, (_x((0,), "int64"), Arg("other", (0,), "int64"))),
    ]


def _view_case(source: str, target: str, shape: tuple[int, ...] = (5, 7), **more: Any) -> OpCase:
    return OpCase("view", (Arg("self", shape, source, more.pop("fill", "normal"), 100),), {"dtype": target})


CASES: tuple[OpCase, ...] = (
    *(c for name in ("bitwise_left_shift", "bitwise_right_shift") for c in _shift_cases(name)),
    OpCase("signbit", (_x((5, 17), fill="special"),)),
    OpCase("signbit", (_x((9,), "bfloat16"),)),
    OpCase("signbit", (_x((9,), "int8"),)),
    OpCase("signbit", (_x((9,), "bool"),)),
    OpCase("signbit", (_x((), "float64"),)),
    OpCase("copysign", (_x((5, 17), fill="special"), Arg("other", (17,), fill="special"))),
    OpCase("copysign", (_x((9,), "int64"), Arg("other", (9,), "float16"))),
    OpCase("copysign", (_x((9,)),), {"other": -0.0}),
    OpCase("copysign", (_x((9,), "float64"), Arg("other", (), "float64"))),
    OpCase("copysign", (_x((0,)), Arg("other", (0,)))),
    OpCase("nextafter", (_x((5, 17), fill="special"), Arg("other", (17,), fill="special")), tolerance=0.0),
    OpCase("nextafter", (_x((9,), "bfloat16"), Arg("other", (9,), "bfloat16")), tolerance=0.0),
    OpCase("nextafter", (_x((), "float64"), Arg("other", (9,), "float64")), tolerance=0.0),
    *(
        OpCase("frexp", (_x(s, d, "special"),), outputs=2, tolerance=0.0)
        for s, d in (((5, 17), "float32"), ((9,), "float64"), ((9,), "bfloat16"), ((9,), "float16"), ((), "float32"))
    ),
    _view_case("float32", "int32", fill="special"),
    _view_case("int32", "float32"),
    _view_case("bfloat16", "int16"),
    _view_case("int16", "float16"),
    _view_case("float64", "int64", ()),
    _view_case("uint8", "int8"),
    _view_case("bool", "uint8", (0, 3)),
    _view_case("bool", "uint8"),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase("bitwise_left_shift", (_x((3,)), Arg("other", (3,)))),
    OpCase("nextafter", (_x((3,), "float16"), Arg("other", (3,), "float16"))),
    _view_case("float32", "int16"),
    _view_case("uint8", "bool"),
)
