"""Cases of special functions: both ends of their range, poles, infinities and NaN, integers, half types, 0-d, empty."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

_UNARY = (
    "erfc", "lgamma", "digamma", "i0", "special_i0e", "special_i1", "special_i1e", "sinc",
)  # fmt: skip


def _x(shape: tuple[int, ...], dtype: str = "float32", fill: str = "normal", high: int = 4) -> Arg:
    return Arg("self", shape, dtype, fill, high)


def _unary_cases(name: str) -> list[OpCase]:
    return [
        OpCase(name, (_x((3, 40)),), tolerance=1e-6),
        OpCase(name, (_x((5, 19), fill="special"),), tolerance=1e-6),
        OpCase(name, (_x(()),), tolerance=1e-6),
        OpCase(name, (_x((0, 3)),)),
        OpCase(name, (_x((3, 9), "float64", "special"),), tolerance=1e-12),
        # torch's Bessel functions of halves compute in halves
        OpCase(name, (_x((18,), "bfloat16"),), tolerance=4e-2),
        OpCase(name, (_x((2, 9), "float16"),), tolerance=5e-3),
        # from 1 on: at an integer pole the answer's sign is a matter of taste
        OpCase(name, (_x((40,), "int64", "nonzero", 1),), tolerance=1e-6),
        OpCase(name, (_x((9,), "uint8", "nonzero", 30),), tolerance=1e-6),
    ]


def _pair_cases(name: str) -> list[OpCase]:
    special = (Arg("self", (5, 17), fill="special"), Arg("other", (17,), fill="special"))
    return [
        OpCase(name, (Arg("self", (3, 1)), Arg("other", (4,), fill="positive")), tolerance=1e-6),
        OpCase(name, special, tolerance=1e-6),
        OpCase(name, (Arg("self", ()), Arg("other", (), fill="positive"))),
        OpCase(name, (Arg("self", (0, 3)), Arg("other", (3,)))),
        OpCase(name, (Arg("self", (9,), "float64"), Arg("other", (9,), "float64", "positive")), tolerance=1e-12),
        OpCase(name, (Arg("self", (9,), "bfloat16"), Arg("other", (9,), "bfloat16", "positive"))),
    ]


CASES: tuple[OpCase, ...] = (
    *(c for name in _UNARY for c in _unary_cases(name)),
    OpCase("erfinv", (_x((7, 40), fill="unit"),), tolerance=1e-6),
    OpCase("erfinv", (_x((5, 19), fill="special"),), tolerance=1e-6),
    OpCase("erfinv", (_x((33,), "float64", "unit"),), tolerance=1e-12),
    OpCase("erfinv", (_x((9,), "int64", high=2),)),
    OpCase("erfinv", (_x(()),)),
    *(
        OpCase(name, (_x(shape, dtype, fill),), tolerance=tolerance)
        for name, fill in (("special_erfcx", "special"), ("special_log_ndtr", "special"), ("special_ndtri", "positive"))
        for shape, dtype, tolerance in (
            ((5, 19), "float32", 1e-6),
            ((33,), "float64", 1e-12),
            ((), "float32", 1e-6),
            ((0,), "float32", 1e-6),
        )
    ),  # fmt: skip
    OpCase("logit", (_x((5, 19), fill="positive"),), tolerance=1e-6),
    OpCase("logit", (_x((5, 19), fill="special"),), {"eps": 0.01}, tolerance=1e-6),
    OpCase("logit", (_x((5, 19), "bfloat16", fill="positive"),), {"eps": 0.2}),
    OpCase("logit", (_x((), "float64", fill="positive"),)),
    OpCase("logit", (_x((9,), "int64", high=2),), {"eps": 0.1}),
    *(c for name in ("xlogy", "special_xlog1py") for c in _pair_cases(name)),
    *(c for name in ("logaddexp", "logaddexp2") for c in _pair_cases(name)),
    OpCase("xlogy", (_x((9,), "int64"), Arg("other", (9,), "int64", "index"))),
    OpCase("xlogy", (Arg("other", (9,), fill="positive"),), {"self": 0}),
    OpCase("xlogy", (_x((9,), fill="special"),), {"other": 2.5}),
    OpCase("special_xlog1py", (_x((9,), fill="special"),), {"other": 2}),
)

REFUSED: tuple[OpCase, ...] = (OpCase("xlogy", (_x((3,), "complex64"),), {"other": 2.5}),)
