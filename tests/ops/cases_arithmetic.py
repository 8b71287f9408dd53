"""Cases of broadcasting arithmetic: promotion, scalars on either side, signs of division, wrapping, 0-d and empty."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _pair(
    a: tuple[int, ...], b: tuple[int, ...], da: str = "float32", db: str = "", fill: str = "normal"
) -> tuple[Arg, Arg]:
    return Arg("self", a, da, fill, high=100), Arg("other", b, db or da, fill, high=90)


_MIXED = (
    ((3, 17), (17,), "float32", "float32", "special"),
    ((2, 1, 5), (4, 1), "float32", "float64", "normal"),
    ((), (3,), "float64", "float32", "normal"),
    ((3,), (), "float16", "float32", "normal"),
    ((3, 4), (3, 4), "bfloat16", "float16", "normal"),
    ((4, 5), (4, 5), "bfloat16", "bfloat16", "normal"),
    ((33,), (33,), "int8", "uint8", "normal"),
    ((33,), (33,), "int8", "int8", "normal"),
    ((9,), (9,), "int64", "float32", "normal"),
    ((4,), (), "int32", "int64", "normal"),
    ((0, 3), (3,), "float32", "float32", "normal"),
    ((), (), "int64", "int64", "normal"),
)
_BOOL = (((9,), (9,), "bool", "bool", "normal"), ((9,), (9,), "bool", "int64", "normal"))
_SCALARS: dict[str, tuple[Any, ...]] = {
    "add": (0, 0.0, 1, 2.5, True),
    "sub": (0, 1.5, 3),
    "rsub": (1, 0.5),
    "mul": (0, 0.0, -1, 1, 0.3333, 3),
    "div": (0.0, 2, 0.7),
    "floor_divide": (2, -0.7),
    "remainder": (3, -0.7),
    "fmod": (3, -0.7),
}


def _tensor_cases(name: str, attrs: dict[str, Any]) -> list[OpCase]:
    integral_division = name in ("remainder", "fmod", "floor_divide") or attrs.get("rounding_mode")
    logic = name in ("mul", "add", "maximum", "minimum")
    cases = []
    for a, b, da, db, fill in (*_MIXED, *(_BOOL if logic else ())):
        x, y = _pair(a, b, da, db, fill)
        if integral_division and db.startswith(("int", "uint", "bool")):
            # torch raises for a zero among integer divisors
            y = Arg("other", b, db, "nonzero", high=7)
        cases.append(OpCase(name, (x, y), attrs, tolerance=1e-6))
    return cases


def _scalar_cases(name: str, values: tuple[Any, ...], attrs: dict[str, Any]) -> list[OpCase]:
    cases = []
    for value in values:
        given = {"other": value, **attrs}
        cases.append(OpCase(name, (Arg("self", (5, 17), fill="special"),), given, tolerance=1e-6))
        cases.append(OpCase(name, (Arg("self", (6,), "bfloat16"),), given))
        if not (name in ("floor_divide", "remainder", "fmod", "div") and value == 0):
            cases.append(OpCase(name, (Arg("self", (7,), "int64", high=50),), given, tolerance=1e-6))
    return cases


_SAME = (Arg("self", (4, 5), fill="special"), Arg("other", (4, 5), fill="special"))


def _power_cases() -> list[OpCase]:
    exponents = (0, 0.5, 1, 2, 3, -0.5, -1, -2, 2.5, -1.3, 4)
    special = Arg("self", (5, 17), fill="special")
    return [
        *(OpCase("pow", (special,), {"exponent": e}, tolerance=1e-5) for e in exponents),
        OpCase("pow", (Arg("self", (9,), "int64"),), {"exponent": 5}),
        OpCase("pow", (Arg("self", (9,), "int8"),), {"exponent": 0}),
        OpCase("pow", (Arg("self", (9,), "int32"),), {"exponent": 2.0}),
        OpCase("pow", (Arg("self", (9,), "float16"),), {"exponent": 2}),
        OpCase("pow", (Arg("exponent", (5, 17), fill="special"),), {"self": 2}),
        OpCase("pow", (Arg("exponent", (5,), fill="special"),), {"self": 1.0}),
        OpCase("pow", (Arg("exponent", (5,), "int64"),), {"self": 10000.0}),
        OpCase("pow", (Arg("self", (3, 1)), Arg("exponent", (4,)))),
        OpCase("pow", (Arg("self", (3, 7), fill="special"), Arg("exponent", (3, 7), fill="special"))),
        OpCase("pow", (Arg("self", ()), Arg("exponent", (), "int64"))),
    ]


def _three(name: str, roles: tuple[str, str, str]) -> list[OpCase]:
    a, b, c = roles
    value = {} if name == "lerp" else {"value": 1}
    half = {} if name == "lerp" else {"value": -0.5}
    return [
        OpCase(name, (Arg(a, (3, 17)), Arg(b, (3, 17)), Arg(c, (17,))), value),
        OpCase(name, (Arg(a, (3, 17), fill="special"), Arg(b, (1,)), Arg(c, (3, 1))), half),
        OpCase(name, (Arg(a, ()), Arg(b, ()), Arg(c, ())), value),
        OpCase(name, (Arg(a, (4,), "bfloat16"), Arg(b, (4,), "bfloat16"), Arg(c, (4,), "bfloat16")), half),
    ]


def _extreme_cases(name: str) -> list[OpCase]:
    return [
        OpCase(name, _pair((3, 17), (17,), fill="special"), tolerance=1e-6),
        OpCase(name, _pair((9,), (), "bfloat16")),
        OpCase(name, _pair((), (), "float64")),
        OpCase(name, _pair((0, 3), (3,))),
    ]


CASES: tuple[OpCase, ...] = (
    *(c for n in ("add", "sub", "rsub") for c in _tensor_cases(n, {"alpha": 1})),
    OpCase("add", _pair((3, 5), (5,)), {"alpha": -0.5}),
    OpCase("add", _pair((3, 5), (5,), "int64"), {"alpha": 3}),
    OpCase("sub", _pair((3, 5), (5,), "float16"), {"alpha": 2}),
    *(c for n in ("mul", "floor_divide", "remainder", "fmod") for c in _tensor_cases(n, {})),
    *(c for mode in (None, "trunc", "floor") for c in _tensor_cases("div", {"rounding_mode": mode})),
    *(
        c
        for n, values in _SCALARS.items()
        for c in _scalar_cases(n, values, {"alpha": 1} if n in ("add", "sub", "rsub") else {})
    ),
    OpCase("remainder", (Arg("other", (9,), "int64", "nonzero"),), {"self": 7}),
    *(c for n in ("maximum", "minimum") for c in _tensor_cases(n, {})),
    *(c for n in ("fmax", "fmin", "hypot") for c in _extreme_cases(n)),
    OpCase("fmax", _pair((9,), (9,), "int64")),
    OpCase("fmin", _pair((9,), (9,), "bool")),
    OpCase("heaviside", (Arg("self", (5, 17), fill="special"), Arg("values", (17,)))),
    OpCase("heaviside", (Arg("self", (9,), "int64", high=2), Arg("values", (9,), "int64"))),
    OpCase("heaviside", (Arg("self", (9,), "bool"), Arg("values", (), "bool"))),
    OpCase("pow", (Arg("self", (9, 1), "int64"), Arg("exponent", (40,), "int64", high=40))),
    OpCase("pow", (Arg("self", (40,), "int8", high=100), Arg("exponent", (40,), "int8", "index", 100))),
    OpCase("pow", (Arg("self", (40,), "uint8", high=100), Arg("exponent", (40,), "uint8", "index", 200))),
    OpCase("pow", (Arg("exponent", (9,), "int64", high=40),), {"self": 2}),
    OpCase("pow", (Arg("exponent", (9,), "int32", high=3),), {"self": -1}),
    OpCase("atan2", _pair((3, 17), (17,), fill="special"), tolerance=1e-6),
    OpCase("atan2", _pair((9,), (9,), "int64"), tolerance=1e-6),
    OpCase("add", (Arg("self", (9,), "uint8"),), {"other": 300, "alpha": 1}),
    OpCase("floor_divide", (Arg("self", (9,), "uint8"),), {"other": 300}),
    OpCase("atan2", _pair((), (3,), "float64")),
    *_power_cases(),
    *_three("addcmul", ("self", "tensor1", "tensor2")),
    OpCase(
        "addcmul",
        (Arg("self", (4,), "int64"), Arg("tensor1", (4,), "int64"), Arg("tensor2", (4,), "int64")),
        {"value": 3},
    ),
    *_three("addcdiv", ("self", "tensor1", "tensor2")),
    *_three("lerp", ("self", "end", "weight")),
    OpCase("lerp", (Arg("self", (9,)), Arg("end", (9,))), {"weight": 0.25}),
    OpCase("lerp", (Arg("self", (9,)), Arg("end", (9,))), {"weight": 1.0}),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase("pow", (Arg("self", (3,), "int64"),), {"exponent": -1}),
    OpCase("add", (Arg("self", (3,), "uint8"),), {"other": 1, "alpha": 300}),
    OpCase("mul", (Arg("self", (3,), "complex64"),), {"other": 2}),
)
