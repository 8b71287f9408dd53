"""Cases of joining and padding: members of other dtypes, empty members, every padding mode, negative padding."""

from __future__ import annotations

from typing import Any

from tests.ops.case import Arg, OpCase


def _members(*shapes: tuple[int, ...], dtypes: tuple[str, ...] = ()) -> tuple[Arg, ...]:
    kinds = dtypes or ("float32",) * len(shapes)
    return tuple(Arg(f"tensors.{k}", s, d) for k, (s, d) in enumerate(zip(shapes, kinds, strict=True)))


def _pad(shape: tuple[int, ...], pad: tuple[int, ...], mode: str, value: Any = None, dtype: str = "float32") -> OpCase:
    return OpCase("pad", (Arg("self", shape, dtype),), {"pad": pad, "mode": mode, "value": value}, tolerance=0.0)


def _scatter(shape: tuple[int, ...], source: tuple[int, ...], dtype: str = "float32", **attrs: Any) -> OpCase:
    name = "select_scatter" if "index" in attrs else "slice_scatter"
    return OpCase(name, (Arg("self", shape, dtype), Arg("src", source, dtype)), attrs, tolerance=0.0)


def _fill(shape: tuple[int, ...], value: Any, dtype: str = "float32") -> OpCase:
    return OpCase("fill", (Arg("self", shape, dtype),), {"value": value})


CASES: tuple[OpCase, ...] = (
    OpCase("cat", _members((2, 3), (2, 5), (2, 1)), {"dim": 1}),
    OpCase("cat", _members((2, 3), (4, 3)), {"dim": -2}),
    OpCase("cat", _members((0,), (2, 3), (0,)), {"dim": 1}),
    OpCase("cat", _members((2, 0), (2, 3)), {"dim": 1}),
    OpCase("cat", _members((3,), (2,), dtypes=("int64", "float32")), {"dim": 0}),
    OpCase("cat", _members((3,), (2,), dtypes=("bool", "int8")), {"dim": 0}),
    OpCase("cat", _members((3,), (2,), dtypes=("bfloat16", "bfloat16")), {"dim": 0}),
    OpCase("cat", _members((0,), (0,)), {"dim": 0}),
    OpCase("cat", _members((2, 3)), {"dim": 0}),
    OpCase("stack", _members((2, 3), (2, 3)), {"dim": 1}),
    OpCase("stack", _members((2, 3), (2, 3), (2, 3)), {"dim": -1}),
    OpCase("stack", _members((), ()), {"dim": 0}),
    OpCase("stack", _members((0, 3), (0, 3)), {"dim": 0}),
    *(
        _pad(shape, pad, mode)
        for mode in ("constant", "reflect", "replicate", "circular")
        for shape, pad in (
            ((2, 3, 7), (2, 3)),
            ((2, 3, 5, 6), (2, 1, 0, 3)),
            ((1, 2, 4, 5, 6), (1, 2, 3, 0, 2, 2)),
            ((2, 3, 7), (-2, 3)),
            ((2, 7), (1, 1)),
        )
    ),
    _pad((3, 4), (1, 2), "constant", 2.5),
    _pad((3, 4), (1, 2, 0, 1), "constant", float("-inf"), "bfloat16"),
    _pad((3, 4), (-1, -2), "constant", 1, "int64"),
    _pad((0, 4), (0, 0, 1, 1), "constant", 3.0),
    _pad((3, 4), (0, 0), "constant", True, "bool"),
    OpCase("constant_pad_nd", (Arg("self", (2, 3)),), {"pad": (1, 0, 0, 2), "value": 0}),
    OpCase("constant_pad_nd", (Arg("self", (2, 3), "int32"),), {"pad": (-1, 2), "value": 5}),
    OpCase("constant_pad_nd", (Arg("self", (0,)),), {"pad": (1, 1), "value": 1.0}),
    _scatter((5, 8), (5, 3), dim=1, start=2, end=5, step=1),
    _scatter((8, 5), (3, 5), dim=-2, start=-7, end=9223372036854775807, step=3),
    _scatter((5,), (5,), "int64", dim=0, start=None, end=None, step=1),
    _scatter((5, 4), (0, 4), dim=0, start=3, end=3, step=1),
    _scatter((5, 8), (5,), dim=1, index=-2),
    _scatter((5, 8), (8,), "bfloat16", dim=0, index=1),
    _scatter((3,), (), dim=0, index=0),
    OpCase("copy", (Arg("self", (2, 3)), Arg("src", (3,), "int64"))),
    OpCase("copy", (Arg("self", (2, 3), "int32"), Arg("src", (2, 1), "float32"))),
    OpCase("copy", (Arg("self", ()), Arg("src", (), "bfloat16"))),
    _fill((2, 3), 0.0),
    _fill((2, 3), float("nan"), "bfloat16"),
    _fill((), 4, "int64"),
    _fill((3,), True, "bool"),
    OpCase("fill", (Arg("self", (2, 3), "int32"), Arg("value", (), "float32"))),
)

REFUSED: tuple[OpCase, ...] = (_fill((3,), 300, "int8"), _pad((2, 3, 5), (-2, 4), "circular"))
