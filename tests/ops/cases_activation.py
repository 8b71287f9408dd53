"""Cases of the activations: every attribute moved off its default, inf and NaN, half-width, 0-d and empty."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase

_ATTRS: dict[str, tuple[dict[str, Any], ...]] = {
    "relu": ({},),
    "hardtanh": ({}, {"min_val": 0.0, "max_val": 6.0}, {"min_val": -0.25, "max_val": 0.5}),
    "hardsigmoid": ({},),
    "hardswish": ({},),
    "leaky_relu": ({}, {"negative_slope": 0.2}, {"negative_slope": 0.0}, {"negative_slope": -1.0}),
    "silu": ({},),
    "gelu": ({}, {"approximate": "tanh"}),
    "elu": ({}, {"alpha": 0.5, "scale": 1.5, "input_scale": 2.0}),
    "celu": ({}, {"alpha": 0.5}),
    "selu": ({},),
    "softplus": ({}, {"beta": 2.0, "threshold": 1.0}),
    "mish": ({},),
    "log_sigmoid": ({},),
    "hardshrink": ({}, {"lambd": 1.0}),
    "softshrink": ({}, {"lambd": 1.0}),
    "threshold": ({"threshold": 0.1, "value": 20.0},),
}
_SHAPES = (((3, 33), "float32", "normal"), ((7, 17), "float32", "special"), ((), "float32", "normal"))
_OTHER = (((19,), "float64", "special"), ((2, 17), "bfloat16", "normal"), ((0, 3), "float32", "normal"))


def _with_defaults(name: str, attrs: dict[str, Any]) -> dict[str, Any]:
    from optima.ops.registry import entry_of

    entry = entry_of(name)
    assert entry is not None
    return {**entry.attrs, **attrs}


CASES: tuple[OpCase, ...] = (
    *(
        OpCase(name, (Arg("self", shape, dtype, fill),), _with_defaults(name, attrs), tolerance=2e-6)
        for name, variants in _ATTRS.items()
        for attrs in variants
        for shape, dtype, fill in (*_SHAPES, *(_OTHER if attrs is variants[0] else ()))
        # torch's own gelu(inf) is NaN where it runs in vectors, and inf where it does not.
        if not (name == "gelu" and fill == "special" and attrs == {})
    ),
    OpCase("glu", (Arg("self", (3, 8), fill="special"),), {"dim": -1}),
    OpCase("glu", (Arg("self", (2, 6, 5), "bfloat16"),), {"dim": 1}),
    OpCase("glu", (Arg("self", (4, 0)),), {"dim": 0}),
    OpCase("glu", (Arg("self", (6,), "float64"),), {"dim": 0}),
    OpCase("threshold", (Arg("self", (9,), "int32"),), {"threshold": 1, "value": 2}),
    OpCase("relu", (Arg("self", (9,), "int32"),)),
    OpCase("relu", (Arg("self", (9,), "uint8"),)),
    OpCase("hardtanh", (Arg("self", (9,), "int64"),), {"min_val": -2, "max_val": 2}),
    OpCase("prelu", (Arg("self", (2, 3, 17)), Arg("weight", (3,)))),
    OpCase("prelu", (Arg("self", (2, 3, 4, 5), fill="special"), Arg("weight", (1,)))),
    OpCase("prelu", (Arg("self", (5,)), Arg("weight", ()))),
    OpCase("prelu", (Arg("self", ()), Arg("weight", (1,)))),
    OpCase("prelu", (Arg("self", (2, 4), "bfloat16"), Arg("weight", (4,), "bfloat16"))),
)

REFUSED: tuple[OpCase, ...] = (
    OpCase("hardtanh", (Arg("self", (3,)),), {"min_val": float("nan"), "max_val": 1.0}),
    OpCase("threshold", (Arg("self", (3,), "int32"),), {"threshold": 1, "value": 2.5}),
)
