"""Cases of the unary functions: ordinary values, inf and NaN, integers where torch promotes, half-width, 0-d."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

_ANY_REAL = ("exp", "exp2", "expm1", "erf", "tanh", "sigmoid", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh")
_POSITIVE = ("sqrt", "rsqrt", "reciprocal", "log", "log1p", "log2", "log10")
_UNIT = ("asin", "acos")
_KEEPS_INTEGERS = ("abs", "neg", "sign", "square", "floor", "ceil", "trunc")


def _x(shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal") -> Arg:
    return Arg("self", shape, dtype, fill)


def _float_cases(name: str, fill: str) -> list[OpCase]:
    return [
        OpCase(name, (_x((3, 40), fill=fill),), tolerance=1e-6),
        OpCase(name, (_x((5, 19), fill="special"),), tolerance=1e-6),
        OpCase(name, (_x((), fill=fill),), tolerance=1e-6),
        OpCase(name, (_x((17,), "float64", "special"),), tolerance=1e-12),
        OpCase(name, (_x((18,), "bfloat16", fill),)),
        OpCase(name, (_x((2, 9), "float16", fill),)),
        OpCase(name, (_x((9,), "int64", "index"),), tolerance=1e-6),
    ]


def _whole_cases(name: str) -> list[OpCase]:
    return [
        OpCase(name, (_x((5, 19), fill="special"),), tolerance=1e-6),
        OpCase(name, (_x((), "float64"),)),
        OpCase(name, (_x((4, 9), "int8"),)),
        OpCase(name, (_x((9,), "uint8"),)),
        OpCase(name, (_x((20,), "int64"),)),
        OpCase(name, (_x((20,), "float16", "special"),)),
        OpCase(name, (_x((0, 4)),)),
    ]


def _clamp_cases() -> list[OpCase]:
    special = _x((5, 17), fill="special")
    return [
        OpCase("clamp", (special,), {"min": -0.5, "max": 0.5}),
        OpCase("clamp", (special,), {"min": None, "max": 0.25}),
        OpCase("clamp", (special,), {"min": 0.75, "max": -0.25}),
        OpCase("clamp", (_x((9,), "int32"),), {"min": -2, "max": 1}),
        OpCase("clamp", (_x((9,), "int64"),), {"min": -1.5, "max": None}),
        OpCase("clamp", (_x((9,), "bfloat16"),), {"min": -0.3, "max": 0.3}),
        OpCase("clamp", (special, Arg("min", (17,), fill="special"), Arg("max", (5, 1)))),
        OpCase("clamp", (_x(()),), {"min": 0, "max": 1}),
        OpCase("clamp_min", (special,), {"min": 0.1}),
        OpCase("clamp_min", (_x((4,), "int64"), Arg("min", (), "int64"))),
        OpCase("clamp_min", (_x(()),), {"min": 0}),
        OpCase("clamp_max", (special,), {"max": 0.1}),
        OpCase("clamp_max", (_x((4,), "int64"), Arg("max", (1,), "int64"))),
        OpCase("clamp_max", (_x((0,)),), {"max": 0}),
    ]


def _to_cases() -> list[OpCase]:
    dtypes = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    cases = [
        OpCase("to", (Arg("self", (3, 7), source, high=3),), {"dtype": target}, tolerance=0.0)
        for source in dtypes
        for target in dtypes
    ]
    return [
        *cases,
        OpCase("to", (_x((5, 17), fill="special"),), {"dtype": "bool"}),
        OpCase("to", (_x((5, 17), fill="special"),), {"dtype": "bfloat16"}),
        OpCase("to", (_x((5, 17), "bfloat16", fill="special"),), {"dtype": "float16"}),
        OpCase("to", (Arg("self", (20,), "int64", high=1000),), {"dtype": "uint8"}),
        OpCase("to", (_x(()),), {"dtype": "int32"}),
    ]


CASES: tuple[OpCase, ...] = (
    *(c for name in _ANY_REAL for c in _float_cases(name, "normal")),
    *(c for name in _POSITIVE for c in _float_cases(name, "positive")),
    *(c for name in (*_UNIT, "atanh") for c in _float_cases(name, "unit")[:4]),
    *(OpCase("acosh", (Arg("self", shape, "float32", "special"),), tolerance=1e-6) for shape in ((3, 9), (0,), (33,))),
    *(c for name in _KEEPS_INTEGERS for c in _whole_cases(name)),
    *(
        OpCase("frac", (Arg("self", s, d, "normal"),))
        for s, d in (((4, 5), "float32"), ((), "float64"), ((3,), "float16"))
    ),
    *(
        OpCase("round", (Arg("self", shape, dtype, "special"),), {"decimals": 0})
        for shape, dtype in (((40,), "float32"), ((3, 9), "float64"), ((9,), "bfloat16"), ((0,), "float16"))
    ),
    *(
        OpCase("round", (Arg("self", (5, 9), dtype, "special"),), {"decimals": decimals}, tolerance=1e-7)
        for dtype in ("float32", "float64", "float16", "bfloat16")
        for decimals in (2, -1)
    ),
    *(
        OpCase(name, (_x(shape, dtype, fill),), tolerance=1e-6)
        for name in ("angle", "deg2rad", "rad2deg")
        for shape, dtype, fill in (
            ((5, 17), "float32", "special"),
            ((9,), "int64", "normal"),
            ((), "float64", "normal"),
            ((9,), "bfloat16", "normal"),
        )
    ),
    OpCase("clamp_min", (_x((9,), "bool"), Arg("min", (9,), "bool"))),
    OpCase("nan_to_num", (_x((5, 17), fill="special"),)),
    OpCase("nan_to_num", (_x((5, 17), "float16", "special"),), {"nan": 1.5, "posinf": 3.0, "neginf": -2.0}),
    OpCase("nan_to_num", (_x((5, 17), "bfloat16", "special"),)),
    OpCase("nan_to_num", (_x((4,), "int64"),)),
    OpCase("nan_to_num", (_x((), "float64"),), {"nan": 2.0}),
    *_clamp_cases(),
    *_to_cases(),
)

#: attributes and dtypes that the kernel route must refuse, with a reason
REFUSED: tuple[OpCase, ...] = (
    OpCase("round", (Arg("self", (3,)),), {"decimals": 400}),
    OpCase("clamp", (Arg("self", (3,)),), {"min": float("nan"), "max": None}),
    OpCase("abs", (Arg("self", (3,), "complex64"),)),
)
